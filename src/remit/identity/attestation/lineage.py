"""Chains of parents, kept for a moment: to read one anew costs 10 µs for each ancestor, at every connection."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.procfs import Parents, Stat, ancestors

MAX_LINEAGES: Final = 256
MAX_AGE: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    parents: Parents
    read: float


class Lineages:
    """A bounded cache of processes' parents; safe to share between threads. `clock` is monotonic seconds.

    A line is good for the same process (pid and start) under the same parent, for `MAX_AGE`. It never lacks an
    ancestor that lives: whoever loses its parent is given to one further up the same chain, or to init. What an
    ancestor runs may be as old as the line.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = MAX_LINEAGES,
        digests: Digests = EXECUTABLES,
    ) -> None:
        self._clock = clock
        self._digests = digests
        self._capacity = capacity
        self._lines: OrderedDict[int, _Line] = OrderedDict()
        self._lock = threading.Lock()

    def parents(self, stat: Stat) -> Parents:
        """The ancestors of the process whose `stat` was just read, nearest first."""
        now = self._clock()
        with self._lock:
            line = self._lines.get(stat.pid)
        if line is not None and now - line.read <= MAX_AGE and _of_the_same(line, stat):
            return line.parents
        found = ancestors(stat, self._digests)
        self._keep(stat.pid, _Line(stat.start, found, now))
        return found

    def _keep(self, pid: int, line: _Line) -> None:
        with self._lock:
            self._lines[pid] = line
            self._lines.move_to_end(pid)
            while len(self._lines) > self._capacity:
                self._lines.popitem(last=False)

    def __len__(self) -> int:
        return len(self._lines)


def _of_the_same(line: _Line, stat: Stat) -> bool:
    parent = line.parents[0].pid if line.parents else 0
    return (line.start, parent) == (stat.start, stat.parent)
