"""The open files of one process: does it hold socket N, in any of its threads' descriptor tables?"""

# A walk makes tens of thousands of these calls, and a Path object costs more than the call itself.
# ruff: noqa: PTH116, PTH208

import ctypes
import os
import platform
from collections.abc import Iterator
from typing import Final

from remit.errors import AttestationError

_KCMP_FILES: Final = 2  # linux/kcmp.h: do two threads share one descriptor table?
_KCMP: Final = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine())
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Budget:
    """How many more descriptors a walk may read: a process may hold a million of them."""

    def __init__(self, descriptors: int) -> None:
        self._left = descriptors

    def spend(self) -> None:
        """Count one; raises AttestationError when there are no more."""
        self._left -= 1
        if self._left < 0:
            raise AttestationError("too many open files to find out who holds the connection")


def main_table_holds(pid: int, link: bytes, budget: Budget) -> bool:
    """Whether the table of `pid`'s main thread has a descriptor that links to `link` (`socket:[N]`).

    Raises PermissionError when the table can't be read; a process that is gone holds nothing.
    """
    return _table_holds(f"/proc/{pid}/fd", link, budget)


def any_table_holds(pid: int, link: bytes, budget: Budget) -> bool:
    """As `main_table_holds`, and also in tables that threads of `pid` keep for themselves (unshare(CLONE_FILES))."""
    if _table_holds(f"/proc/{pid}/fd", link, budget):
        return True
    return any(_table_holds(f"/proc/{pid}/task/{thread}/fd", link, budget) for thread in _threads_apart(pid))


def _table_holds(directory: str, link: bytes, budget: Budget) -> bool:
    try:
        table = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return False
    try:
        # Relative to the open directory a link costs about half of what its full path does.
        # The kernel lists them by number: a connection just made is most likely the last.
        for name in reversed(os.listdir(table)):
            budget.spend()
            if _read_link(name, table) == link:
                return True
    except (FileNotFoundError, ProcessLookupError):
        pass  # the process exited meanwhile
    finally:
        os.close(table)
    return False


def _read_link(name: str, table: int) -> bytes:
    try:
        return os.readlink(name.encode(), dir_fd=table)
    except FileNotFoundError:  # closed since it was listed
        return b""


def _threads_apart(pid: int) -> Iterator[int]:
    """The threads of `pid` whose descriptor table is not known to be the main thread's."""
    try:
        if os.stat(f"/proc/{pid}/task").st_nlink <= 3:  # ".", "..", and one directory a thread
            return
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return
    for thread in threads:
        if thread != pid and not _share_table(pid, thread):
            yield thread


def _share_table(one: int, other: int) -> bool:
    """False also where the kernel can't tell (no CONFIG_KCMP, another machine): then the table is read."""
    if _KCMP is None:
        return False
    return bool(_LIBC.syscall(_KCMP, one, other, _KCMP_FILES, 0, 0) == 0)
