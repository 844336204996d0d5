"""The gateway workers: started, fed with Snapshots over their link, watched, and started again when they die."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from remit.control.orphans import end_orphan, forget, remember, worker_file
from remit.errors import AttestationError, AuditError, RemitError, StateError
from remit.policy import Snapshot
from remit.sandbox.child import Child, start_child

ACK_SECONDS: Final = 5.0
READY_SECONDS: Final = 20.0
RESTART_WINDOW_SECONDS: Final = 60.0
MAX_RESTARTS: Final = 5


class Listener(Protocol):
    """A listening socket for one workload: `kind` is `tcp`, `tls` or `unix`."""

    @property
    def workload(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    def fileno(self) -> int: ...


@dataclass
class Worker:
    """One live worker and what it has acknowledged."""

    zone: str
    child: Child
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    acked: int = 0
    progress: asyncio.Condition = field(default_factory=asyncio.Condition)
    failure: str = ""
    log_failure: str = ""
    certified: bool = False


class Workers:
    """One worker for each zone. `welcome` gives the first message for a new worker (settings, certificate, secrets).

    `heard` takes every message that isn't about the link itself and raises for one that no sound worker sends: that
    worker is ended, and `misbehaved` records why. `broken` takes an error that leaves a zone without its
    worker for good. A revocation is done when every live worker acknowledged its epoch (`settled`).
    """

    def __init__(
        self,
        module: str,
        welcome: Callable[[str], dict[str, Any]],
        heard: Callable[[Worker, dict[str, Any]], Awaitable[None]],
        died: Callable[[Worker, int], Awaitable[None]],
        broken: Callable[[BaseException], None],
        misbehaved: Callable[[Worker, str], Awaitable[None]],
        run: Path,
    ) -> None:
        self._module, self._welcome, self._heard, self._died = module, welcome, heard, died
        self._broken, self._misbehaved, self._run = broken, misbehaved, run
        self.live: dict[str, Worker] = {}
        self._snapshot: Snapshot | None = None
        self._listeners: list[Listener] = []
        self._extra: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._starts: list[float] = []

    async def start(self, zone: str) -> Worker:
        """Start the zone's worker; it is ready to serve when this returns."""
        worker = Worker(zone, start_child(self._module, "gateway"))
        self.live[zone] = worker
        with contextlib.suppress(AttestationError):  # it has ended already: `_watch` sees that
            remember(worker_file(self._run, zone), worker.child.pid)
        self._send(worker, self._welcome(zone))
        self._spawn(self._listen(worker))
        self._spawn(self._watch(worker))
        await self._until_ready(worker)
        return worker

    async def end_orphan(self, zone: str) -> int | None:
        """End the zone's worker that a killed control left behind; its pid, if there was one."""
        return await end_orphan(worker_file(self._run, zone))

    def _brief(self, worker: Worker) -> None:
        """Tell a worker that is ready all that is in force; from then on it hears of each change."""
        for message in self._extra.values():
            self._send(worker, message)
        if self._snapshot is not None:
            self._send(worker, {"type": "snapshot", "snapshot": self._snapshot.to_dict()})
        for listener in self._listeners:
            self._hand_over(worker, listener)
        worker.ready.set()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to every worker, and to those that start later (the last of each type counts)."""
        self._extra[message["type"]] = message
        for worker in self._briefed():
            self._send(worker, message)

    def push(self, snapshot: Snapshot) -> None:
        """Send a Snapshot to every worker."""
        self._snapshot = snapshot
        message = {"type": "snapshot", "snapshot": snapshot.to_dict()}
        for worker in self._briefed():
            self._send(worker, message)

    def listen(self, listener: Listener) -> None:
        """Give every worker one more listening socket; control keeps its own copy for a worker's successor."""
        self._listeners.append(listener)
        for worker in self._briefed():
            self._hand_over(worker, listener)

    def _briefed(self) -> list[Worker]:
        return [worker for worker in self.live.values() if worker.ready.is_set()]

    async def settled(self, epoch: int) -> bool:
        """Whether every live worker acknowledged `epoch` within ACK_SECONDS; False means it is pending."""
        try:
            async with asyncio.timeout(ACK_SECONDS):
                for worker in list(self.live.values()):
                    async with worker.progress:
                        await worker.progress.wait_for(partial(_settled, worker, epoch))
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End every worker; each ends its open calls, closes its shard and goes."""
        self._stopping = True
        await asyncio.gather(*(worker.child.stop() for worker in self.live.values()))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.live.values():
            worker.child.forget()
            forget(worker_file(self._run, worker.zone))
        self.live.clear()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken(error)

    @staticmethod
    def _send(worker: Worker, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        try:
            worker.child.channel.send(message, fds)
        except StateError:
            return  # it has died: `_watch` starts its successor, which is told everything anew

    def _hand_over(self, worker: Worker, listener: Listener) -> None:
        message = {"type": "listen", "workload": listener.workload, "kind": listener.kind, "url": listener.url}
        self._send(worker, message, (listener.fileno(),))

    async def _until_ready(self, worker: Worker) -> None:
        try:
            await asyncio.wait_for(worker.ready.wait(), READY_SECONDS)
        except TimeoutError:
            raise StateError(f"the {worker.zone} gateway was not ready within {READY_SECONDS:.0f} s") from None
        if worker.failure:
            raise StateError(f"the {worker.zone} gateway could not start: {worker.failure}")

    async def _listen(self, worker: Worker) -> None:
        """Hear a worker until its link ends, and end it then: what does not keep to the link serves nobody."""
        while (message := await worker.child.channel.receive()) is not None:
            try:
                await self._hear(worker, message)
            except AuditError:
                raise  # control's own log, not this worker
            except (KeyError, TypeError, ValueError, OverflowError, RemitError) as error:
                if worker.child.process.poll() is None:
                    await self._misbehaved(worker, str(error) if isinstance(error, RemitError) else repr(error))
                break
        if not self._stopping and worker.child.process.poll() is None:
            worker.child.process.kill()  # `_watch` sees it end, and starts its successor

    async def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ready":
                self._brief(worker)
            case "failed":
                worker.failure = str(message.get("why", ""))
                worker.ready.set()
            case "ack":
                async with worker.progress:
                    worker.acked = int(message["epoch"])
                    worker.progress.notify_all()
            case _:
                await self._heard(worker, message)

    async def _watch(self, worker: Worker) -> None:
        status = await worker.child.ended()
        async with worker.progress:
            worker.progress.notify_all()
        if not worker.ready.is_set():
            worker.failure = worker.failure or f"it ended with status {status}"
            worker.ready.set()
            return
        if self._stopping:
            return
        await self._died(worker, status)
        await self._bury(worker)
        await self._succeed(worker.zone, f"it ended with status {status}")

    async def _succeed(self, zone: str, why: str) -> None:
        """Start a dead worker's successor: at once, then slower, and not for ever. It may die before it is ready."""
        while not self._stopping:
            now = time.monotonic()
            self._starts = [start for start in self._starts if now - start < RESTART_WINDOW_SECONDS] + [now]
            if len(self._starts) > MAX_RESTARTS:
                raise StateError(f"the {zone} gateway died more than {MAX_RESTARTS} times within a minute: {why}")
            await asyncio.sleep(0.2 * (len(self._starts) - 1))
            try:
                await self.start(zone)
            except StateError as error:
                why = str(error)
                await self._bury(self.live[zone])
            else:
                return

    async def _bury(self, worker: Worker) -> None:
        """Let go of all that is held of a worker; it has ended, or hangs before it was ready."""
        await worker.child.stop()
        worker.child.forget()
        self.live.pop(worker.zone, None)


def _settled(worker: Worker, epoch: int) -> bool:
    """A dead worker is settled: it serves nobody, and its successor starts with what is in force."""
    return worker.acked >= epoch or worker.child.process.poll() is not None
