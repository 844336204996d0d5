"""Who a caller of the Workload API is, and the record of each SVID it gets."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from remit.control.realm import Acts, Realm
from remit.errors import AttestationError
from remit.identity import PeerCredentials, Process, SpiffeId
from remit.inventory import Workload, workload_of
from remit.inventory.binding import lost
from remit.models import unchanged


class KernelIdentities:
    """Implements the Workload API's port by the kernel's facts and the realm."""

    def __init__(self, realm: Realm, observe: Callable[[int], Process]) -> None:
        self._realm, self._observe = realm, observe

    async def identities(self, peer: PeerCredentials) -> Sequence[SpiffeId]:
        """The workload that this process is, else its person's; none for a uid that acts for nobody known.

        None either for a workload that is not active: it does not become its person by being suspended.
        Nor for a model server that lost its identity with its model, or a process that is two workloads at once.
        """
        try:
            process = await asyncio.to_thread(self._observe, peer.pid)
            workload = workload_of(process, self._realm.workloads.values())
        except AttestationError:
            return ()
        if process.uid != peer.uid:
            return ()
        if workload is not None:
            return (workload.spiffe_id,) if workload.active and not await _lost(workload) else ()
        human = self._realm.human_of(peer.uid)
        return (SpiffeId.of(self._realm.trust.domain, "user", human.name),) if human is not None else ()


async def _lost(workload: Workload) -> bool:
    """Whether one of its models is not, or not provably, what its identity is bound to."""
    watched = [pair for model in workload.models for pair in model.watched]
    return bool(lost(workload)) or not await asyncio.to_thread(unchanged, watched)


class RecordedIssuances:
    """Writes each SVID down before it is handed out."""

    def __init__(self, realm: Realm, acts: Acts) -> None:
        self._realm, self._acts = realm, acts

    async def issued(self, what: str, spiffe_id: SpiffeId, peer: PeerCredentials, expires: float) -> None:
        human = self._realm.human_of(peer.uid)
        facts: dict[str, Any] = {"svid": what, "pid": peer.pid, "expires": round(expires, 3)}
        # a person's own identity has the person's name in it: the log keeps the pseudonym
        subject = str(spiffe_id) if spiffe_id in self._realm.workloads else ""
        await self._acts("svid.issued", subject, human.person if human is not None else None, facts)
