"""Who calls the token endpoint: the kernel's word for who holds the other end of a loopback connection."""

import asyncio
import concurrent.futures
from dataclasses import dataclass
from typing import Final

from remit.control.governed import Observe, governor
from remit.control.realm import Realm
from remit.errors import AttestationError
from remit.identity.attestation import attest_tcp
from remit.inventory import Human, Workload, workload_of

THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Client:
    """One caller. `human` answers for it, `workload` is what it is itself, if it is one; `uid` is the kernel's.

    `a_person`: known beyond doubt to run under no governed workload.
    """

    human: Human
    workload: Workload | None
    a_person: bool
    uid: int


class Clients:
    """Finds out who is at the other end of a loopback connection, in threads of its own."""

    def __init__(self, realm: Realm, observe: Observe) -> None:
        self._realm, self._observe = realm, observe
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="clients")

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def at(self, theirs: tuple[str, int], ours: tuple[str, int]) -> Client:
        """The client whose end of the connection is `theirs`; raises AttestationError when it can't be known."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, theirs, ours)

    def _look(self, theirs: tuple[str, int], ours: tuple[str, int]) -> Client:
        in_force = tuple(self._realm.workloads.values())
        with attest_tcp(theirs, ours) as attested:
            attested.finish_walk()
            process, uid = attested.process, attested.uid
            workload = None if process is None else workload_of(process, in_force)
            above = None if process is None else governor(process, in_force, self._observe)
        human = self._realm.humans.get(workload.owner) if workload is not None else self._realm.human_of(uid)
        if human is None:
            raise AttestationError(
                f"uid {uid} acts for no person known here",
                hint="only people with an account on this machine are known; ask the owner of this Remit",
            )
        return Client(human, workload, process is not None and above is None, uid)
