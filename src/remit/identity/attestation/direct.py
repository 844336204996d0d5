"""Looking at processes oneself: what the kernel shows to this process's uid and capabilities."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from remit.identity.attestation.beneath import open_beneath
from remit.identity.attestation.descriptors import Budget, holds_master, in_any_table, in_main_table
from remit.identity.attestation.digests import Digests, file_key
from remit.identity.attestation.eyes import MAX_SCRIPT_BYTES, UNKNOWN, Found, Links, Node, Program, Stamp, Watch
from remit.identity.attestation.names import path_of


class Direct:
    """One's own eyes."""

    def file(self, pid: int) -> tuple[Node | None, Stamp | None]:
        return executable_file(pid)

    def program(self, pid: int, digests: Digests | None) -> Program:
        node, stamp = executable_file(pid)
        if node is None:
            return UNKNOWN
        exe, deleted = executable_path(pid, node)
        sha256 = None if digests is None else digests.of(f"/proc/{pid}/exe")
        return Program(node, stamp, exe, deleted, sha256) if executable_file(pid) == (node, stamp) else UNKNOWN

    def script(self, pid: int, argument: bytes, digests: Digests) -> Found:
        """Its path is the one with its links followed, as the kernel has it of an executable."""
        place = argument if argument.startswith(b"/") else os.readlink(f"/proc/{pid}/cwd".encode()) + b"/" + argument
        with ExitStack() as undo:
            root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, root)
            file = open_beneath(root, place)
            undo.callback(os.close, file)
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SCRIPT_BYTES:
                return Found(None, None, None, lasting=False)
            here = f"/proc/self/fd/{file}"
            node = status.st_dev, status.st_ino
            path, deleted = path_of(os.readlink(here.encode()), node, f"/proc/{pid}/ns/mnt")
            return Found(None if deleted else path, digests.of(here), file_key(status), lasting=True)

    def sockets(self, pid: int, links: Links, budget: Budget, *, every_thread: bool) -> Links:
        return (in_any_table if every_thread else in_main_table)(pid, links, budget)

    def tables(
        self, pids: Iterable[int], links: Links, budget: Budget, *, every_thread: bool
    ) -> Iterator[tuple[int, Links | None]]:
        for pid in pids:
            try:
                yield pid, self.sockets(pid, links, budget, every_thread=every_thread)
            except PermissionError:
                yield pid, None

    def masters(self, pids: Iterable[int], index: int, budget: Budget) -> Iterator[tuple[int, bool | None]]:
        for pid in pids:
            try:
                yield pid, holds_master(pid, index, budget)
            except PermissionError:
                yield pid, None

    def watch(self, pid: int) -> Watch | None:
        return None


def executable_file(pid: int) -> tuple[Node | None, Stamp | None]:
    """(device, inode) of the executable that runs now, and its file's (size, mtime, ctime), the times in ns.

    None when the kernel won't tell. A few µs. The ctime, which nobody can set, tells of a file that was replaced too:
    it has one name less then.
    """
    try:
        status = os.stat(f"/proc/{pid}/exe")
    except OSError:
        return None, None
    return (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def executable_path(pid: int, node: Node) -> tuple[str | None, bool]:
    """(path, deleted) of the executable `node`, as in `path_of`; the path is None when it can't be read."""
    try:
        link = os.readlink(f"/proc/{pid}/exe".encode())
    except OSError:
        return None, False
    return path_of(link, node, f"/proc/{pid}/ns/mnt")
