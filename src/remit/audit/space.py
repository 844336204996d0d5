"""Room on disk ahead of a shard's last line: real zero blocks, so that a commit changes data and nothing else.

With blocks that are written already, a durable write needs no journal transaction (measured on ext4, medians of five
runs: 102 µs against 148 µs when each write also grows the file).
"""

import os
import threading
from collections.abc import Callable
from typing import Final

CHUNK: Final = 4 << 20  # about 6,000 records; 4 MiB of zeros take about 20 ms to write and sync


class Space:
    """Zeros ahead of one writer, made by a thread of its own, off the commit's path.

    `end` is where the zeros end. A commit writes only below it, this thread only from it on: they never meet.
    """

    def __init__(self, fd: int, failed: Callable[[OSError], None]) -> None:
        self._fd, self._failed = fd, failed
        self.end = 0
        self._growing: threading.Thread | None = None

    def reach(self, end: int) -> None:
        """Return when there is room up to `end`, at once as a rule; raises OSError when there can't be."""
        while self.end < end:
            self.settle()
            if self.end < end:
                self._grow()

    def prepare(self, written: int) -> None:
        """Called after each commit with the length of the lines: starts growing when little is left."""
        if self.end - written < CHUNK // 2 and (self._growing is None or not self._growing.is_alive()):
            self._growing = threading.Thread(target=self._grow_beside, name="audit-space", daemon=True)
            self._growing.start()

    def settle(self) -> None:
        """Wait until nothing is being written ahead any more."""
        if self._growing is not None:
            self._growing.join()

    def _grow_beside(self) -> None:
        try:
            self._grow()
        except OSError as error:  # also a sync error: this thread may be the only one that the kernel tells
            self._failed(error)

    def _grow(self) -> None:
        write_all(self._fd, bytes(CHUNK), self.end)
        os.fdatasync(self._fd)
        self.end += CHUNK


def write_all(fd: int, data: bytes, at: int, flags: int = 0) -> None:
    """Write all of `data` at offset `at`; `os.RWF_DSYNC` makes each write durable before it returns."""
    view = memoryview(data)
    while view:
        written = os.pwritev(fd, [view], at, flags)
        at, view = at + written, view[written:]
