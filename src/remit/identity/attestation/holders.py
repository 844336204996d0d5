"""Who holds a socket: quickly, among the likely processes, or exhaustively, among all that can be read.

Both block (tens of µs to tens of ms): call them in an executor thread. Neither sees a descriptor in flight in a unix
socket's queue, registered with io_uring, or moved between two processes while the walk is between them.
"""

# As in descriptors.py, a Path object costs more than the call itself.
# ruff: noqa: PTH123, PTH208

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import procfs
from remit.identity.attestation.descriptors import Budget, any_table_holds, main_table_holds

MAX_PROCESSES: Final = 1 << 16  # twice the default pid_max of 32,768
MAX_DESCRIPTORS_INLINE: Final = 1 << 16  # about 0.2 s at 2.6 µs each
MAX_DESCRIPTORS: Final = 1 << 20  # about 3 s
MAX_DESCENDANTS: Final = 256
_INIT: Final = 1


@dataclass(frozen=True, slots=True)
class Holders:
    """The processes that hold one socket.

    `complete` is true when every process whose descriptors can be read was looked at. `unreadable` counts those whose
    descriptors can't (another uid's, or not dumpable): they may hold it unseen.
    """

    pids: tuple[int, ...]
    complete: bool
    unreadable: int


def inline(inode: int, uid: int, hint: int | None = None) -> Holders:
    """Holders of socket `inode` among the processes most likely to: `hint`, else the newest of `uid`'s first.

    Stops at the first, then adds those of its ancestors and descendants that hold it too; the first comes first.
    Raises AttestationError when there are too many processes or open files to look through.
    """
    walk = _Walk(inode, MAX_DESCRIPTORS_INLINE)
    likely = [hint] if hint is not None and _owner(hint) == uid else []
    first = next((pid for pid in chain(likely, newest_of(uid)) if walk.found(pid)), None)
    if first is None:
        return Holders((), complete=False, unreadable=walk.unreadable)
    kin = [pid for pid in _kin(first) if walk.found(pid)]
    return Holders((first, *kin), complete=False, unreadable=walk.unreadable)


def exhaustive(inode: int) -> Holders:
    """Every process that holds socket `inode`, also in a thread that keeps its own descriptor table, newest first.

    Raises AttestationError when there are too many processes or open files to look through.
    """
    walk = _Walk(inode, MAX_DESCRIPTORS)
    pids = tuple(pid for pid in processes() if walk.found(pid, threads=True))
    return Holders(pids, complete=True, unreadable=walk.unreadable)


def holds(pid: int, inode: int) -> bool:
    """Whether `pid` holds socket `inode` now. Raises PermissionError when its descriptors can't be read."""
    return any_table_holds(pid, _link(inode), Budget(MAX_DESCRIPTORS))


class _Walk:
    """One search: what it looks for, what it may still spend, and how many it could not read."""

    def __init__(self, inode: int, descriptors: int) -> None:
        self._link = _link(inode)
        self._budget = Budget(descriptors)
        self.unreadable = 0

    def found(self, pid: int, *, threads: bool = False) -> bool:
        look = any_table_holds if threads else main_table_holds
        try:
            return look(pid, self._link, self._budget)
        except PermissionError:
            self.unreadable += 1
            return False


def _link(inode: int) -> bytes:
    return b"socket:[%d]" % inode


def processes() -> list[int]:
    """Every process id in view, newest (highest) first; raises AttestationError when there are too many."""
    pids = sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    if len(pids) > MAX_PROCESSES:
        raise AttestationError(f"more than {MAX_PROCESSES} processes: can't find out who holds the connection")
    return pids


def newest_of(uid: int) -> Iterator[int]:
    """The processes whose effective uid is `uid`, newest first."""
    return (pid for pid in processes() if _owner(pid) == uid)


def _owner(pid: int) -> int | None:
    try:
        return procfs.effective_uid(pid)
    except OSError:
        return None


def _kin(pid: int) -> list[int]:
    """Ancestors and descendants: the processes that `fork` may have given the socket to, or got it from.

    Not init, which may hold hundreds of descriptors (1 ms): it is left to the exhaustive walk.
    """
    parent = _parent(pid)
    above = [] if parent is None else [ancestor.pid for ancestor in procfs.ancestors(parent) if ancestor.pid != _INIT]
    return above + list(islice(descendants(pid), MAX_DESCENDANTS))


def _parent(pid: int) -> int | None:
    try:
        return procfs.read_stat(pid).parent
    except AttestationError:
        return None


def descendants(pid: int) -> Iterator[int]:
    """Children of all threads, then theirs; none where the kernel keeps no `children` file (CONFIG_PROC_CHILDREN)."""
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop(0)):
            yield child
            waiting.append(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as children:
                found += map(int, children.read().split())
    except OSError:
        pass
    return found
