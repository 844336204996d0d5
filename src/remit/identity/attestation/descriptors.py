"""The open files of one process: which of these sockets does it hold, in any of its threads' descriptor tables?"""

# A walk makes tens of thousands of these calls, and a Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH123, PTH208

import os
from contextlib import suppress
from typing import Final

from remit.descriptor_tables import tables
from remit.errors import AttestationError

NO_FILE: Final = ("socket:", "pipe:", "anon_inode:", "/memfd:")


class Budget:
    """How many more descriptors a walk may read: a process may hold a million of them."""

    def __init__(self, descriptors: int) -> None:
        self._left = descriptors

    @property
    def left(self) -> int:
        return max(self._left, 0)

    def spend(self, count: int = 1) -> None:
        """Count them; raises AttestationError when there are no more."""
        self._left -= count
        if self._left < 0:
            raise AttestationError("too many open files to find out who holds the connection")


def in_main_table(pid: int, links: frozenset[str], budget: Budget) -> frozenset[str]:
    """Those of `links` (`socket:[N]`) that a descriptor of `pid`'s main thread links to.

    Raises PermissionError when the table can't be read; a process that is gone holds nothing.
    """
    return frozenset(_in_table(f"/proc/{pid}/fd", links, budget))


def in_any_table(pid: int, links: frozenset[str], budget: Budget) -> frozenset[str]:
    """As `in_main_table`, and also in tables that threads of `pid` keep for themselves (unshare(CLONE_FILES))."""
    found: set[str] = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for table in tables(pid, every_thread=True):
            found |= _in_table(table, links, budget)
            if found == links:
                break
    return frozenset(found)


def holds_master(pid: int, index: int, budget: Budget) -> bool:
    """Whether a thread of `pid` holds the master of `/dev/pts/INDEX`: who does reads and types there.

    Of whichever instance of devpts: a container's terminal of that number counts too. Raises as `in_main_table`.
    """
    told = b"tty-index:\t%d" % index
    try:
        return any(_master_in(directory, told, budget) for directory in tables(pid, every_thread=True))
    except (FileNotFoundError, ProcessLookupError):
        return False


def _master_in(directory: str, told: bytes, budget: Budget) -> bool:
    try:
        for name in os.listdir(directory):
            budget.spend()
            if _may_be_master(f"{directory}/{name}") and _last_line(f"{directory}info/{name}") == told:
                return True
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        pass  # the process exited
    return False


def _may_be_master(path: str) -> bool:
    """By what the kernel itself calls it: a file's own system may never answer, or answer what it likes."""
    try:
        return not os.readlink(path).startswith(NO_FILE)
    except FileNotFoundError:  # closed since it was listed
        return False


def _last_line(path: str) -> bytes:
    """Of a master the kernel says last of which terminal it is (proc_pid_fdinfo(5))."""
    try:
        with open(path, "rb", buffering=0) as told:
            return told.read(4096).rstrip().rpartition(b"\n")[2]
    except FileNotFoundError:
        return b""


def _in_table(directory: str, links: frozenset[str], budget: Budget) -> set[str]:
    found: set[str] = set()
    try:
        table = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return found
    try:
        # Relative to the open directory a link costs about half of what its full path does.
        # The kernel lists them by number: a connection just made is most likely the last.
        for name in reversed(os.listdir(table)):
            budget.spend()
            link = _read_link(name, table)
            if link in links:
                found.add(link)
                if len(found) == len(links):
                    break
    except (FileNotFoundError, ProcessLookupError):
        pass  # the process exited meanwhile
    finally:
        os.close(table)
    return found


def _read_link(name: str, table: int) -> str:
    try:
        return os.readlink(name, dir_fd=table)
    except FileNotFoundError:  # closed since it was listed
        return ""
