"""Who a caller of the Workload API is, and the record of each SVID it gets."""

import asyncio
import concurrent.futures
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from remit.control.book import Acts
from remit.control.realm import Realm
from remit.errors import AttestationError
from remit.identity import PeerCredentials, SpiffeId
from remit.identity.attestation import Connected, Lineages, Walks, with_task
from remit.inventory import Workload
from remit.inventory.binding import lost
from remit.models import unchanged
from remit.tasks import Launched

THREADS: Final = 2  # as a gateway has: one that walks, one that looks


class KernelIdentities:
    """Implements the Workload API's port by the kernel's facts and the realm. It looks in threads of its own."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="attest")
        self._walks, self._lineages = Walks(self._threads), Lineages()

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def identities(self, peer: PeerCredentials) -> Sequence[SpiffeId]:
        """The workload that the caller is now, else its person's; none for a uid that acts for nobody known.

        None either for a workload that is not active: it does not become its person by being suspended.
        Nor for a model server that lost its identity with its model, or a process that is two workloads at once.
        """
        try:
            workload = await self._workload(peer.process)
        except AttestationError:
            return ()
        if workload is not None:
            return (workload.spiffe_id,) if workload.active and not await _lost(workload) else ()
        human = self._realm.human_of(peer.uid)
        return (SpiffeId.of(self._realm.trust.domain, "user", human.name),) if human is not None else ()

    async def _workload(self, caller: Connected) -> Workload | None:
        """Which workload the process is, if any. Raises AttestationError when it can't be told.

        1. as it is now: it may have become another program since it connected
        2. nobody else holds its connection: who became a workload's program may have left it to another
        """
        # 1
        attest = partial(caller.attest, lineages=self._lineages)
        with await asyncio.get_running_loop().run_in_executor(self._threads, attest) as attested:
            process = attested.process
            assert process is not None  # noqa: S101 - who connects to a unix socket is known by process
            process = with_task(process, Launched(self._realm.tasks.values(), self._realm.clock()))
            workload = self._realm.workloads.of(process)
            # 2
            if workload is not None and not caller.seen_alone(process):
                await asyncio.wrap_future(self._walks.finish(attested))
                caller.saw_alone(process)
            return workload


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
