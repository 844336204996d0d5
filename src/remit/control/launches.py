"""What was launched for a task: each process held by a pidfd, so that its task ends as soon as it has exited."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from remit.control.realm import Realm
from remit.control.watch_servers import Run, held
from remit.errors import AttestationError, NotFoundError
from remit.identity import Process
from remit.identity.attestation import EXECUTABLES, observe, with_task
from remit.identity.attestation.pidfd import PidFd
from remit.policy import Snapshot
from remit.tasks import Launched, Task

OVER = "the process that it was launched for has exited"


class Launches:
    """The launched processes of one instance. `spawn` runs what the end of one calls for."""

    def __init__(
        self,
        realm: Realm,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._realm, self._deliver, self._spawn = realm, deliver, spawn
        self._loop = asyncio.get_running_loop()
        self._held: dict[str, PidFd] = {}

    def with_task(self, process: Process) -> Process:
        """`process`, with the task it was launched for, or one of its ancestors was."""
        return with_task(process, Launched(self._realm.tasks.values(), self._realm.clock()))

    def observe(self, pid: int) -> Process:
        """What the kernel says of a process, and Remit of its task; raises AttestationError."""
        return self.with_task(observe(pid, digests=EXECUTABLES))

    async def take_up(self) -> None:
        """Go on with what an earlier run launched; what has exited since has no task any more."""
        for task in [one for one in self._realm.tasks.values() if one.launched and one.live(self._realm.clock())]:
            await self.watch(task)

    async def watch(self, task: Task) -> None:
        """End the task when its process has exited, at once if it already has."""
        if task.launched is None:
            return
        try:
            pidfd = held(Run(*task.launched))
        except AttestationError:
            await self._realm.tasking.end(task.id, OVER)
            return
        self._held[task.id] = pidfd
        self._loop.add_reader(pidfd.fileno(), self._exited, task.id)

    def close(self) -> None:
        """Watch none any more; their tasks go on."""
        for task_id in tuple(self._held):
            self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        pidfd = self._held.pop(task_id)
        self._loop.remove_reader(pidfd.fileno())
        pidfd.close()

    def _exited(self, task_id: str) -> None:
        self._forget(task_id)
        self._spawn(self._end(task_id))

    async def _end(self, task_id: str) -> None:
        try:
            await self._realm.tasking.end(task_id, OVER)
        except NotFoundError:
            return  # it had ended before
        await self._deliver(self._realm.snapshot())
