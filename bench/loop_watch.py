"""How long an event loop lets others wait: another process writes the time to it every millisecond."""

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.001
STAMP = struct.Struct("=d")
TASKS = Path("/proc/self/task")


@dataclass
class LoopWatch:
    """Seconds from each write to its turn in the loop: `late` in all, `blocked` without what the machine took.

    That is the time for which the loop's thread was ready and had no core, and the same of the one other thread that
    had none for longest: it may have had the interpreter's lock.
    """

    sock: socket.socket
    late: list[float] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)
    _waited: dict[str, float] = field(default_factory=dict)
    _own: str = ""

    def start(self) -> None:
        self.sock.setblocking(False)
        self._waited = waited_for_a_core()
        self._own = str(threading.get_native_id())
        asyncio.get_running_loop().add_reader(self.sock, self._turn)

    def take(self) -> tuple[float, float]:
        """The longest of both since the last `take`, in ms."""
        longest = max(self.late, default=0.0) * 1000, max(self.blocked, default=0.0) * 1000
        self.late.clear()
        self.blocked.clear()
        return longest

    def _turn(self) -> None:
        now, waited = time.monotonic(), waited_for_a_core()
        [first, *_] = STAMP.iter_unpack(self.sock.recv(4096 * STAMP.size))
        late = now - first[0]
        self.late.append(late)
        lacked = {thread: spent - self._waited.get(thread, 0.0) for thread, spent in waited.items()}
        self.blocked.append(max(0.0, late - lacked.pop(self._own) - max(lacked.values(), default=0.0)))
        self._waited = waited


def waited_for_a_core() -> dict[str, float]:
    """Seconds that each thread here was ready to run and did not (sched-stats.rst)."""
    return {one.name: int((one / "schedstat").read_text().split()[1]) / 1e9 for one in TASKS.iterdir()}


@contextmanager
def watch() -> Iterator[LoopWatch]:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _write(ours, theirs)
    theirs.close()
    try:
        with ours:
            yield LoopWatch(ours)
    finally:
        os.waitpid(pid, 0)


def _write(ours: socket.socket, theirs: socket.socket) -> None:
    """Until the reader is gone. Another process: a thread would want the loop's own lock."""
    ours.close()
    try:
        while True:
            time.sleep(EVERY)
            theirs.send(STAMP.pack(time.monotonic()))
    except OSError:
        os._exit(0)
