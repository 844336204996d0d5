"""The gateway workers: started, fed with Snapshots over their link, watched, and started again when they die."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from remit.control.attestor import Attestor
from remit.control.doors import DECISIONS, INFERENCE, Door
from remit.control.orphans import forget, remember, worker_file
from remit.errors import AttestationError, AuditError, RemitError, StateError
from remit.policy import Snapshot
from remit.policy.changes import Changes
from remit.policy.link import (
    Ack,
    Eyes,
    Failed,
    FromControl,
    InForce,
    Listen,
    Message,
    Ready,
    Secrets,
    Svid,
    Welcome,
)
from remit.sandbox.child import Child, start_child

ACK_SECONDS: Final = 5.0
READY_SECONDS: Final = 20.0
RESTART_WINDOW_SECONDS: Final = 60.0
MAX_RESTARTS: Final = 5


@dataclass
class Worker:
    """One live worker, the Snapshot it was sent last and the epoch that it has acknowledged."""

    zone: str
    child: Child
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    sent: Snapshot | None = None
    acked: int = 0
    progress: asyncio.Condition = field(default_factory=asyncio.Condition)
    failure: str = ""
    log_failure: str = ""
    certified: bool = False


class Link(Protocol):
    """What is said to a worker first, and what is done with what it says or becomes."""

    def welcome(self, zone: str) -> Welcome: ...

    async def heard(self, worker: Worker, message: Message) -> None:
        """Take what isn't about being ready or up to date; raise for what no sound worker sends: it is ended then."""

    async def died(self, worker: Worker, status: int) -> None: ...
    async def misbehaved(self, worker: Worker, why: str) -> None: ...


class Workers:
    """One worker for each zone. `broken` takes an error that leaves a zone without its worker for good.

    A revocation is done when every live worker acknowledged its epoch (`settled`).
    """

    def __init__(self, module: str, link: Link, broken: Callable[[BaseException], None], run: Path) -> None:
        self._module, self._link, self._broken, self._run = module, link, broken, run
        self.live: dict[str, Worker] = {}
        self._snapshot: Snapshot | None = None
        self._doors: list[Door] = []
        self._extra: dict[tuple[str, type[FromControl]], FromControl] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._starts: dict[str, list[float]] = {}
        self.words: Callable[[], Iterable[FromControl]] = tuple
        """What a worker of the zone of decisions is told beside."""
        self.attestor: Attestor | None = None
        """Through whom workers look at other users' processes (system mode)."""

    async def start(self, zone: str) -> Worker:
        """Start the zone's worker; it is ready to serve when this returns."""
        worker = Worker(zone, start_child(self._module, "gateway"))
        self.live[zone] = worker
        with contextlib.suppress(AttestationError):  # it has ended already: `_watch` sees that
            remember(worker_file(self._run, zone), worker.child.pid)
        self._send(worker, self._link.welcome(zone))
        self._spawn(self._listen(worker))
        self._spawn(self._watch(worker))
        await self._until_ready(worker)
        return worker

    def _brief(self, worker: Worker) -> None:
        """Tell a worker that is ready all that is in force; from then on it hears of each change."""
        self._give_eyes(worker)
        for (zone, _), message in self._extra.items():
            if zone == worker.zone:
                self._send(worker, message)
        if self._snapshot is not None:
            self._put(worker, self._snapshot)
        for message in self.words() if worker.zone == DECISIONS else ():
            self._send(worker, message)
        for door in self._doors:
            if door.zone == worker.zone:
                self._hand_over(worker, door)
        worker.ready.set()

    def tell(self, message: Secrets | Svid, zone: str = INFERENCE) -> None:
        """Send a message to a zone's worker, and to one that starts later (the last of each type counts)."""
        self._extra[zone, type(message)] = message
        self.send(zone, message)

    def send(self, zone: str, message: FromControl) -> bool:
        """Send a message to the zone's worker, if one is ready to take it, which is returned: its successor never
        hears of it."""
        those = [worker for worker in self._briefed() if worker.zone == zone]
        for worker in those:
            self._send(worker, message)
        return bool(those)

    def push(self, snapshot: Snapshot) -> None:
        """Send a Snapshot to every worker."""
        self._snapshot = snapshot
        for worker in self._briefed():
            self._put(worker, snapshot)

    async def deliver(self, snapshot: Snapshot) -> bool:
        """Send a Snapshot to every worker; whether all acknowledged it in time."""
        self.push(snapshot)
        return await self.settled(snapshot.epoch)

    def log_failures(self) -> list[str]:
        """Why a worker's log takes no more records, of each whose log doesn't."""
        return [worker.log_failure for worker in self.live.values() if worker.log_failure]

    def listen(self, door: Door) -> None:
        """Give its zone's worker one more listening socket; control keeps its own copy for a worker's successor."""
        self._doors.append(door)
        for worker in self._briefed():
            if worker.zone == door.zone:
                self._hand_over(worker, door)

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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken(error)

    def _put(self, worker: Worker, snapshot: Snapshot) -> None:
        """The first Snapshot whole, then what changed since the last: it has that one, for the link loses nothing."""
        if worker.sent is not None and snapshot.epoch <= worker.sent.epoch:
            return  # what it has is newer
        changes = Changes.between(worker.sent, snapshot) if worker.sent is not None else None
        worker.sent = snapshot
        self._send(worker, changes if changes is not None else InForce(snapshot))

    @staticmethod
    def _send(worker: Worker, message: FromControl, fds: tuple[int, ...] = ()) -> None:
        try:
            worker.child.channel.send(message, fds)
        except StateError:
            return  # it has died: `_watch` starts its successor, which is told everything anew

    def _hand_over(self, worker: Worker, door: Door) -> None:
        self._send(worker, Listen(door.workload, door.kind, door.url, door.skin), (door.sock.fileno(),))

    def _give_eyes(self, worker: Worker) -> None:
        """Before any door: who calls is asked from the first connection on. Each worker has lines of its own."""
        if self.attestor is None:
            return
        try:
            lines = self.attestor.lines()
        except StateError:
            return  # it has ended: other users' callers are unknown to this worker
        with contextlib.ExitStack() as ours:
            for line in lines:
                ours.callback(line.close)
            self._send(worker, Eyes(len(lines)), tuple(line.fileno() for line in lines))

    async def _until_ready(self, worker: Worker) -> None:
        try:
            await asyncio.wait_for(worker.ready.wait(), READY_SECONDS)
        except TimeoutError:
            raise StateError(f"the {worker.zone} gateway was not ready within {READY_SECONDS:.0f} s") from None
        if worker.failure:
            raise StateError(f"the {worker.zone} gateway could not start: {worker.failure}")

    async def _listen(self, worker: Worker) -> None:
        """Hear a worker until its link ends, and end it then: what does not keep to the link serves nobody."""
        try:
            while (message := await worker.child.channel.receive()) is not None:
                await self._hear(worker, message)
        except AuditError:
            raise  # control's own log, not this worker
        except RemitError as error:
            if worker.child.process.poll() is None:
                await self._link.misbehaved(worker, str(error))
        if not self._stopping and worker.child.process.poll() is None:
            worker.child.process.kill()  # `_watch` sees it end, and starts its successor

    async def _hear(self, worker: Worker, message: Message) -> None:
        match message:
            case Ready():
                self._brief(worker)
            case Failed(why):
                worker.failure = why
                worker.ready.set()
            case Ack(epoch):
                async with worker.progress:
                    worker.acked = epoch
                    worker.progress.notify_all()
            case _:
                await self._link.heard(worker, message)

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
        await self._link.died(worker, status)
        await self._bury(worker)
        await self._succeed(worker.zone, f"it ended with status {status}")

    async def _succeed(self, zone: str, why: str) -> None:
        """Start a dead worker's successor: at once, then slower, and not for ever. It may die before it is ready."""
        while not self._stopping:
            now = time.monotonic()
            starts = [start for start in self._starts.get(zone, []) if now - start < RESTART_WINDOW_SECONDS] + [now]
            self._starts[zone] = starts
            if len(starts) > MAX_RESTARTS:
                raise StateError(f"the {zone} gateway died more than {MAX_RESTARTS} times within a minute: {why}")
            await asyncio.sleep(0.2 * (len(starts) - 1))
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
