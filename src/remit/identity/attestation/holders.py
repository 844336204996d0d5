"""Who holds sockets: quickly, among the likely processes, or exhaustively, among all that can be read.

Both block (tens of µs to tens of ms): call them in an executor thread. Neither sees a descriptor in flight in a unix
socket's queue, registered with io_uring, or moved between two processes while the walk is between them.
"""

# As in descriptors.py, a Path object costs more than the call itself.
# ruff: noqa: PTH123, PTH208

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import procfs
from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.eyes import eyes

MAX_PROCESSES: Final = 1 << 16  # twice the default pid_max of 32,768
JUST_STARTED: Final = 64  # 2 µs each, together a tenth of a list of 2,000 processes
MAX_DESCRIPTORS_INLINE: Final = 1 << 16  # about 0.2 s at 2.6 µs each
MAX_DESCRIPTORS: Final = 1 << 20  # about 3 s
_MAX_LINE: Final = 256


@dataclass(frozen=True, slots=True)
class Holders:
    """The processes that hold one socket.

    `complete` is true when every process whose descriptors can be read was looked at. `unreadable` counts those whose
    descriptors can't (another uid's, or not dumpable): they may hold it unseen.
    """

    pids: tuple[int, ...]
    complete: bool
    unreadable: int


class Search:
    """One pass that looks for sockets in the tables of processes' main threads, and what it may still spend.

    A process is listed once a pass, for all the sockets that are looked for: `held` says what was seen then.
    """

    def __init__(self, inodes: Iterable[int], descriptors: int) -> None:
        self._inodes = {_link(inode): inode for inode in inodes}
        self._links = frozenset(self._inodes)
        self._budget = Budget(descriptors)
        self._listed: dict[int, frozenset[int]] = {}
        self.unreadable: set[int] = set()

    def held(self, pid: int) -> frozenset[int]:
        """The sockets that `pid` holds. Raises AttestationError when there are too many open files to read."""
        known = self._listed.get(pid)
        if known is None:
            known = self._listed[pid] = self._list(pid)
        return known

    def _list(self, pid: int) -> frozenset[int]:
        try:
            held = eyes().sockets(pid, self._links, self._budget, every_thread=False)
            return frozenset(self._inodes[link] for link in held)
        except PermissionError:
            self.unreadable.add(pid)
            return frozenset()


def quick(inodes: Iterable[int]) -> Search:
    """A search in the tables of processes' main threads."""
    return Search(inodes, MAX_DESCRIPTORS_INLINE)


def exhaustive(inode: int) -> Holders:
    """Every process that holds socket `inode`: `walk`, for one socket."""
    return walk([inode])[inode]


def walk(inodes: Iterable[int]) -> dict[int, Holders]:
    """Every process that holds these sockets, also in a thread that keeps its own descriptor table, newest first.

    Raises AttestationError when there are too many processes or open files to look through.
    """
    found: dict[int, list[int]] = {inode: [] for inode in inodes}
    links = {_link(inode): inode for inode in found}
    unreadable = 0
    for pid, held in eyes().tables(processes(), frozenset(links), Budget(MAX_DESCRIPTORS), every_thread=True):
        unreadable += held is None
        for link in held or ():
            found[links[link]].append(pid)
    return {inode: Holders(tuple(pids), complete=True, unreadable=unreadable) for inode, pids in found.items()}


def masters(index: int) -> Holders:
    """Every process that holds the master of terminal `/dev/pts/INDEX`, newest first: who can type into it.

    Of whichever instance of devpts: a container's terminal of that number counts too. Blocks for a walk.
    """
    every = list(eyes().masters(processes(), index, Budget(MAX_DESCRIPTORS)))
    return Holders(tuple(pid for pid, held in every if held), True, sum(held is None for _, held in every))


def holds(pid: int, inode: int) -> bool:
    """Whether `pid` holds socket `inode` now. Raises PermissionError when its descriptors can't be read."""
    return bool(still_held(pid, [inode]))


def still_held(pid: int, inodes: Iterable[int]) -> frozenset[int]:
    """Those of `inodes` that `pid` holds now. Raises PermissionError when its descriptors can't be read."""
    links = {_link(inode): inode for inode in inodes}
    held = eyes().sockets(pid, frozenset(links), Budget(MAX_DESCRIPTORS), every_thread=True)
    return frozenset(links[link] for link in held)


def _link(inode: int) -> str:
    return f"socket:[{inode}]"


def processes() -> list[int]:
    """Every process id in view, newest (highest) first; raises AttestationError when there are too many."""
    pids = sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    if len(pids) > MAX_PROCESSES:
        raise AttestationError(f"more than {MAX_PROCESSES} processes: can't find out who holds the connection")
    return pids


def likely_of(uid: int, first: Iterable[int] = ()) -> Iterator[int]:
    """The processes whose effective uid is `uid`: those of `first`, those that just started, then the newest.

    The machine's processes are listed only for whoever asks past those: 1 ms where there are 2,000.
    """
    tried = set[int]()
    for pid in first:
        if pid not in tried and owner(pid) == uid:
            tried.add(pid)
            yield pid
    for pid in just_started():
        if pid not in tried and owner(pid) == uid and is_process(pid):
            tried.add(pid)
            yield pid
    for pid in processes():
        if pid not in tried and owner(pid) == uid:
            yield pid


def just_started() -> range:
    """The numbers given last, newest first, whether processes have them now, threads or nobody."""
    try:
        with open("/proc/loadavg", "rb", buffering=0) as file:
            last = int(file.read(_MAX_LINE).split()[-1])
    except (OSError, ValueError, IndexError):  # /proc without it: who looks lists all processes
        return range(0)
    return range(last, max(last - JUST_STARTED, 0), -1)


def is_process(pid: int) -> bool:
    """Whether this number is a process's and no thread's: only those have a pidfd. About 2 µs."""
    try:
        os.close(os.pidfd_open(pid))
    except OSError:
        return False
    return True


def owner(pid: int) -> int | None:
    """The effective uid of `pid`; None when there is no such process."""
    try:
        return procfs.effective_uid(pid)
    except OSError:
        return None
