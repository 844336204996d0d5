"""The processes of guarded servers, each watched through a pidfd: that one has ended is known at once."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from remit.errors import AttestationError
from remit.identity import SpiffeId
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.procfs import read_stat
from remit.inventory import Workload
from remit.inventory.listening import Holding


class Run(NamedTuple):
    """One process, once: its pid and when it started (clock ticks since boot)."""

    pid: int
    start: int


class Watch(NamedTuple):
    """A process that is watched, and the handle on it."""

    run: Run
    pidfd: PidFd


def opened(workload: Workload) -> Watch | None:
    """A handle on the very process that was enrolled; None when it is not known (another user's, a container's).

    Raises AttestationError when it has ended, or its pid is another's by now: a pid without a start is of one that
    ended, or changed its executable, while it was looked at.
    """
    if workload.pid is None:
        return None
    if workload.start is None:
        raise AttestationError(f"process {workload.pid} ended or changed while it was looked at")
    run = Run(workload.pid, workload.start)
    return Watch(run, held(run))


def held(run: Run) -> PidFd:
    """A handle on this very process; raises AttestationError when it has ended, or its pid is another's by now.

    Opened first, compared then: whatever happens to the pid afterwards, the handle is on what was compared.
    """
    pidfd = PidFd.open(run.pid)
    with ExitStack() as undo:
        undo.callback(pidfd.close)
        if read_stat(run.pid).start != run.start:
            raise AttestationError(f"process {run.pid} has exited: its number is another's")
        pidfd.alive()
        undo.pop_all()
    return pidfd


class ServerWatches:
    """One pidfd for each guarded workload whose process is known. `ended` is called once for each that ends."""

    def __init__(self, ended: Callable[[SpiffeId, Run], None]) -> None:
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._open: dict[SpiffeId, Watch] = {}

    def put(self, spiffe_id: SpiffeId, watch: Watch | None) -> None:
        """Watch this process for the workload, in place of the one it had; owns the handle from now on.

        A process that has ended already is seen at once: its pidfd stays readable.
        """
        self.forget(spiffe_id)
        if watch is not None:
            self._open[spiffe_id] = watch
            self._loop.add_reader(watch.pidfd.fileno(), self._fired, spiffe_id)

    def forget(self, spiffe_id: SpiffeId) -> None:
        """Watch this workload's process no more."""
        watch = self._open.pop(spiffe_id, None)
        if watch is not None:
            self._loop.remove_reader(watch.pidfd.fileno())
            watch.pidfd.close()

    def close(self) -> None:
        for spiffe_id in tuple(self._open):
            self.forget(spiffe_id)

    def _fired(self, spiffe_id: SpiffeId) -> None:
        run = self._open[spiffe_id].run
        self.forget(spiffe_id)
        self._ended(spiffe_id, run)


def still_listens(workload: Workload, there: list[Holding]) -> bool:
    """Whether one of the sockets at its address can be the workload's: `there` is all that listens at its upstream.

    A socket whose holders are seen is its own when its process holds it; one whose holders aren't, when its uid is.
    """
    return any(
        workload.pid in one.pids if one.pids else workload.uid is None or one.uid in {workload.uid, None}
        for one in there
    )
