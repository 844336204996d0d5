"""Attest the caller behind a loopback TCP connection: the kernel's socket table, then who holds that socket."""

from contextlib import ExitStack
from functools import partial

from remit.errors import AttestationError
from remit.identity.attestation import holders, procfs, sock_diag
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.sock_diag import SocketFacts

Address = tuple[str, int]


def attest_tcp(
    local: Address, remote: Address, *, hint: int | None = None, digests: Digests = EXECUTABLES
) -> Attested:
    """The caller whose own end is `local` (the server's `getpeername()`); `remote` is the server's `getsockname()`.

    `hint` is a process to try first, such as the last one attested for that uid. Good only for the uid's least remit
    until `finish_walk` has been through. Blocks (up to a few ms; longer while a new executable is hashed). Raises
    AttestationError when the kernel's facts don't establish one identity.
    """
    # 1. whose socket is it
    facts = sock_diag.lookup(local, remote)
    # 2. which likely processes hold it
    found = holders.inline(facts.inode, facts.uid, hint)
    if not found.pids:
        return _by_uid(facts, local, remote, unreadable=found.unreadable, digests=digests)
    # 3. one of them, held by a handle that is never reused; when forks share the socket, the one that lives longest
    caller = _attest_holder(_oldest(found.pids), facts, digests)
    # 4. and none of the others is somebody else
    with ExitStack() as undo:
        undo.callback(caller.close)
        for pid in found.pids:
            caller.refuse_other(pid, facts.inode)
        caller.still()
        undo.pop_all()
    return caller


def _by_uid(facts: SocketFacts, local: Address, remote: Address, *, unreadable: int, digests: Digests) -> Attested:
    """A caller whose descriptors can't be read is known by the socket's uid; where all could be, nobody holds it."""
    if unreadable == 0:
        raise AttestationError(
            f"no process of uid {facts.uid} holds the connection that uid {facts.uid} made",
            hint="call from the process and the user that connected",
        )
    again = partial(_same_socket, facts, local, remote)
    return Attested(facts.uid, None, digests=digests, find_inode=lambda: facts.inode, recheck=again)


def _same_socket(facts: SocketFacts, local: Address, remote: Address) -> None:
    now = sock_diag.lookup(local, remote)
    if (now.inode, now.uid) != (facts.inode, facts.uid):
        raise AttestationError("the connection's other end is another socket than before")


def _attest_holder(pid: int, facts: SocketFacts, digests: Digests) -> Attested:
    with ExitStack() as undo:
        pidfd = PidFd.open(pid)
        undo.callback(pidfd.close)
        process = procfs.observe(pid, digests=digests)
        if process.uid != facts.uid:
            raise AttestationError(f"the connection was made by uid {facts.uid} and is held by uid {process.uid}")
        if not _still_holds(pid, facts.inode):  # looked for again now that the pid can't be reused
            raise AttestationError(f"process {pid} let go of the connection while it was looked at")
        undo.pop_all()
    return Attested(facts.uid, process, digests=digests, pidfd=pidfd, find_inode=lambda: facts.inode)


def _still_holds(pid: int, inode: int) -> bool:
    try:
        return holders.holds(pid, inode)
    except PermissionError as error:
        raise AttestationError(f"can no longer see what process {pid} holds") from error


def _oldest(pids: tuple[int, ...]) -> int:
    if len(pids) == 1:
        return pids[0]
    return min(pids, key=lambda pid: (_start(pid), pid))


def _start(pid: int) -> int | float:
    try:
        return procfs.read_stat(pid).start
    except AttestationError:
        return float("inf")
