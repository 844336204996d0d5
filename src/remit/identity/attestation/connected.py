"""The process that made a connection to a unix socket, by the kernel's handle on it: looked at anew each time."""

import errno
import os
import socket
import struct
from contextlib import ExitStack
from functools import partial
from typing import Final, Protocol

from remit.errors import AttestationError
from remit.identity.attestation import holders, procfs, unix_diag
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.lineage import Lineages
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.shortage import is_shortage, refused, told
from remit.identity.process import Process

_SO_PEERPIDFD: Final = 77  # asm-generic/socket.h, since Linux 6.5
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid
_OLD_KERNEL: Final = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP})


class UnixSocket(Protocol):
    """What a socket, asyncio's TransportSocket and uvloop's PseudoSocket have in common here."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...

    def fileno(self) -> int: ...


class Connected:
    """Whoever called `connect`, for as long as the connection lasts: never a later process of the same number.

    It may have become another program, ended, or passed the connection on since. Close it when the connection ends.
    """

    __slots__ = ("_by_number", "_inode", "_pidfd", "_seen_alone", "gid", "pid", "uid")

    def __init__(self, pidfd: PidFd, uid: int, gid: int, inode: int, *, by_number: bool) -> None:
        self.pid, self.uid, self.gid = pidfd.pid, uid, gid
        self._pidfd, self._inode, self._by_number = pidfd, inode, by_number
        self._seen_alone: tuple[int, tuple[int, int] | None] | None = None

    @classmethod
    def to(cls, sock: UnixSocket, *, peer_pidfd: bool = True) -> "Connected":
        """The process at the other end of the accepted unix socket `sock`. Does not block.

        `peer_pidfd=False` does as kernels before 6.5 must. Raises AttestationError when the process has exited or is
        in another pid namespace, and OSError when it is no connected unix socket.
        """
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if pid <= 0:
            raise AttestationError("the caller is in another pid namespace: the kernel does not name it here")
        inode = os.fstat(sock.fileno()).st_ino
        pidfd = _peer_pidfd(sock, pid) if peer_pidfd else None
        if pidfd is None:
            return cls(PidFd.open(pid), uid, gid, inode, by_number=True)
        return cls(pidfd, uid, gid, inode, by_number=False)

    def attest(self, *, digests: Digests = EXECUTABLES, lineages: Lineages | None = None) -> Attested:
        """The process as it is now. Blocks while a new executable is hashed. Raises AttestationError when it has
        exited or changed its uid since it connected.
        """
        parents = partial(procfs.ancestors, digests=digests) if lineages is None else lineages.parents
        with ExitStack() as undo, told():
            pidfd = self._pidfd.copy()
            undo.callback(pidfd.close)
            process = procfs.observe(pidfd.pid, digests=digests, parents=parents)
            if process.uid != self.uid:
                raise AttestationError(f"the connection was made by uid {self.uid} and is held by uid {process.uid}")
            if self._by_number:
                _not_reused(process, self._inode)
            pidfd.alive()
            undo.pop_all()
        find_inode = partial(_connected_inode, self._inode)
        return Attested(self.uid, process, digests=digests, pidfd=pidfd, find_inode=find_inode)

    def seen_alone(self, process: Process) -> bool:
        """Whether all holders of the connection were looked at since this program runs in it (`saw_alone`)."""
        return self._seen_alone == (process.start, process.exe_node)

    def saw_alone(self, process: Process) -> None:
        """Remember it: whoever passes the connection on after the walk is not seen, which is a stated limit."""
        self._seen_alone = process.start, process.exe_node

    def close(self) -> None:
        """Give the handle back. May be called again; `attest` raises afterwards."""
        self._pidfd.close()


def _peer_pidfd(sock: UnixSocket, pid: int) -> PidFd | None:
    """The kernel's own handle on the peer; None on a kernel that gives none."""
    try:
        return PidFd(pid, struct.unpack("=i", sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4))[0])
    except OSError as error:
        if error.errno in _OLD_KERNEL:
            return None
        if is_shortage(error):
            raise refused(error) from error
        raise AttestationError(f"process {pid} has exited") from error


def _not_reused(process: Process, own_inode: int) -> None:
    """The pid may have been given to another process between connect and now: then it does not hold our peer."""
    if procfs.read_stat(process.pid).start != process.start:
        raise AttestationError(f"process {process.pid} has exited")
    try:
        inode = unix_diag.peer_inode(own_inode)
    except AttestationError:
        return  # not checked: no unix_diag on this kernel. `finish_walk` needs it and will say so
    try:
        held = holders.holds(process.pid, inode)
    except PermissionError:
        return  # not checked: its descriptors can't be read; it is known by uid only
    if not held:
        raise AttestationError(f"process {process.pid} does not hold the connection it is said to have made")


def _connected_inode(own_inode: int) -> int:
    inode = unix_diag.peer_inode(own_inode)
    if inode == 0:
        raise AttestationError("the process at the connection's other end has exited")
    return inode
