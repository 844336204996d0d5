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


@dataclass
class LoopWatch:
    """Seconds from each write to its turn in the loop: `late` in all, `blocked` without the time that the loop's
    thread was ready and waited for a core, which is the machine's.
    """

    sock: socket.socket
    late: list[float] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)
    _waited: float = 0.0

    def start(self) -> None:
        self.sock.setblocking(False)
        self._waited = waited_for_a_core()
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
        self.blocked.append(max(0.0, late - (waited - self._waited)))
        self._waited = waited


def waited_for_a_core() -> float:
    """Seconds that this thread was ready to run and did not (sched-stats.rst)."""
    return int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]) / 1e9


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
