"""Who calls the token endpoint: the kernel's word for who holds the other end of a loopback connection."""

import asyncio
import concurrent.futures
from dataclasses import dataclass
from typing import Final

from remit.control.governed import Observe, governor
from remit.control.realm import Realm
from remit.errors import AttestationError
from remit.identity import Process
from remit.identity.attestation import Attested, Walks, attest_tcp, with_task
from remit.inventory import Human, Workload, workload_of
from remit.tasks import Launched

THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Client:
    """One caller. `human` answers for it, `workload` is what it is itself, if it is one; `uid` is the kernel's.

    `a_person`: known beyond doubt to run under no governed workload, and in no task that it was launched for.
    `process`: its pid and start (clock ticks since boot), where the kernel tells.
    """

    human: Human
    workload: Workload | None
    a_person: bool
    uid: int
    process: tuple[int, int] | None = None


class Clients:
    """Finds out who is at the other end of a loopback connection, in threads of its own."""

    def __init__(self, realm: Realm, observe: Observe) -> None:
        self._realm, self._observe = realm, observe
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="clients")
        self._walks = Walks(self._threads)

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def at(self, theirs: tuple[str, int], ours: tuple[str, int]) -> Client:
        """The client whose end of the connection is `theirs`; raises AttestationError when it can't be known.

        All that wait share a walk: however many come at once, nobody is kept waiting for a walk each.
        """
        run = asyncio.get_running_loop().run_in_executor
        with await run(self._threads, attest_tcp, theirs, ours) as attested:
            await asyncio.wrap_future(self._walks.finish(attested))
            return await run(self._threads, self._look, attested)

    def _look(self, attested: Attested) -> Client:
        in_force = tuple(self._realm.workloads.values())
        launched = Launched(tuple(self._realm.tasks.values()), self._realm.clock())
        process, uid = attested.process and with_task(attested.process, launched), attested.uid
        workload = None if process is None else workload_of(process, in_force)
        a_person = process is not None and self._under_nothing(process, in_force, launched)
        human = self._realm.humans.get(workload.owner) if workload is not None else self._realm.human_of(uid)
        if human is None:
            raise AttestationError(
                f"uid {uid} acts for no person known here",
                hint="only people with an account on this machine are known; ask the owner of this Remit",
            )
        return Client(human, workload, a_person, uid, None if process is None else (process.pid, process.start))

    def _under_nothing(self, process: Process, in_force: tuple[Workload, ...], launched: Launched) -> bool:
        above = governor(process, in_force, lambda pid: with_task(self._observe(pid), launched))
        return process.task is None and above is None
