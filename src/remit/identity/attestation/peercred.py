"""Attest the caller behind a unix socket (SO_PEERCRED and a pidfd, unix(7)), or a process by its id."""

import errno
import os
import socket
import struct
from contextlib import ExitStack
from functools import partial
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import holders, procfs, unix_diag
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.pidfd import PidFd
from remit.identity.process import Process

_SO_PEERPIDFD: Final = 77  # asm-generic/socket.h, since Linux 6.5
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid
_OLD_KERNEL: Final = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP})


def attest_unix(sock: socket.socket, *, digests: Digests = EXECUTABLES, peer_pidfd: bool = True) -> Attested:
    """The process that connected to the accepted unix socket `sock`.

    Blocks while a new executable is hashed. `peer_pidfd=False` does as kernels before 6.5 must. Raises
    AttestationError when the process has exited, is in another pid namespace, or changed its uid since it connected.
    """
    pid, uid, _gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if pid <= 0:
        raise AttestationError("the caller is in another pid namespace: the kernel does not name it here")
    own_inode = os.fstat(sock.fileno()).st_ino
    pidfd = _peer_pidfd(sock, pid) if peer_pidfd else None
    if pidfd is None:
        return _attest(PidFd.open(pid), uid, own_inode, digests, by_number=True)
    return _attest(pidfd, uid, own_inode, digests, by_number=False)


def attest_pid(pid: int, *, digests: Digests = EXECUTABLES) -> Attested:
    """The process `pid`, whatever it is connected to. Raises AttestationError when there is none."""
    with ExitStack() as undo:
        pidfd = PidFd.open(pid)
        undo.callback(pidfd.close)
        process = procfs.observe(pid, digests=digests)
        pidfd.alive()
        undo.pop_all()
    return Attested(process.uid, process, digests=digests, pidfd=pidfd)


def _peer_pidfd(sock: socket.socket, pid: int) -> PidFd | None:
    """The kernel's own handle on the peer; None on a kernel that gives none."""
    try:
        return PidFd(pid, struct.unpack("=i", sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4))[0])
    except OSError as error:
        if error.errno in _OLD_KERNEL:
            return None
        raise AttestationError(f"process {pid} has exited") from error


def _attest(pidfd: PidFd, uid: int, own_inode: int, digests: Digests, *, by_number: bool) -> Attested:
    with ExitStack() as undo:
        undo.callback(pidfd.close)
        process = procfs.observe(pidfd.pid, digests=digests, parents=partial(procfs.ancestors, digests=digests))
        if process.uid != uid:
            raise AttestationError(f"the connection was made by uid {uid} and is held by uid {process.uid}")
        if by_number:
            _not_reused(process, own_inode)
        pidfd.alive()
        undo.pop_all()
    return Attested(uid, process, digests=digests, pidfd=pidfd, find_inode=partial(_connected_inode, own_inode))


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
