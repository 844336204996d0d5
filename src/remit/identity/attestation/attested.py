"""An attested caller: a process as it was observed, the handle that proves it is still that, and its socket."""

from collections.abc import Callable, Mapping
from typing import Self

from remit.errors import AttestationError
from remit.identity.attestation import holders, procfs
from remit.identity.attestation.digests import Digests
from remit.identity.attestation.direct import executable_file
from remit.identity.attestation.eyes import Watch, eyes
from remit.identity.attestation.holders import Holders
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.shortage import told
from remit.identity.process import Process


class ReplacedError(AttestationError):
    """The process runs on as it was, and the file that it runs is another by now: attest it anew."""


class Attested:
    """Who is calling, by the kernel's word alone. Close it, or use it as a context manager.

    `uid` is always known; `process` is None when only the uid is (its descriptors can't be read: another uid's, or
    not dumpable). `exhaustive` turns true when `finish_walk` has seen every readable holder of the socket.

    `pidfd` and `process` come together. `find_inode` tells the caller's socket, None for a process without one.
    `recheck` asks the kernel again whose socket it is, for a caller known by uid only.
    """

    __slots__ = ("_digests", "_find_inode", "_pidfd", "_recheck", "_watch", "exhaustive", "process", "uid")

    def __init__(
        self,
        uid: int,
        process: Process | None,
        *,
        digests: Digests,
        pidfd: PidFd | None = None,
        find_inode: Callable[[], int] | None = None,
        recheck: Callable[[], None] | None = None,
    ) -> None:
        self.uid = uid
        self.process = process
        self.exhaustive = False
        self._digests = digests
        self._pidfd = pidfd
        self._find_inode = find_inode
        self._recheck = recheck
        self._watch = None if process is None or process.exe_node is None else eyes().watch(process.pid)

    def still(self) -> None:
        """Raises AttestationError unless the caller is what it was: alive, with the same uid and executable.

        ReplacedError where the executable's file was replaced or written to: what proved it may do so no more.
        Never blocks: about 12 µs. Where the executable can't be read its start time is compared instead, which an
        exec does not change: such a caller is known by uid alone.
        """
        if self._recheck is not None:
            self._recheck()
        if self.process is None or self._pidfd is None:
            return
        _unchanged(self.process, self._watch)
        self._pidfd.alive()  # last: while it lives its pid is not reused, so what was read just now was its own

    def finish_walk(self) -> Holders:
        """Look at every process that holds the socket; raises AttestationError if one of them is somebody else.

        Blocks, for tens of ms among thousands of processes: call it in an executor thread.
        """
        inode = self.socket()
        return self.settle(inode, {} if inode is None else holders.walk([inode]))

    def socket(self) -> int | None:
        """The inode of the caller's socket, None without one. Raises AttestationError when it is gone."""
        return None if self._find_inode is None else self._find_inode()

    def settle(self, inode: int | None, walked: Mapping[int, Holders]) -> Holders:
        """Judge what a walk found that began after `socket` gave `inode`. Raises as `finish_walk`."""
        if inode is None:
            self.exhaustive = True
            return Holders(() if self.process is None else (self.process.pid,), complete=True, unreadable=0)
        found = walked[inode]
        for pid in found.pids:
            self.refuse_other(pid, inode)
        if self.process is not None and self.process.pid not in found.pids:
            _must_hold(self.process.pid, inode)
        self.still()
        self.exhaustive = True
        return found

    def refuse_other(self, pid: int, inode: int) -> None:
        """Raises AttestationError if `pid` holds the socket and is not of the caller's identity."""
        if self.process is not None and pid == self.process.pid:
            return
        other = observe_holder(pid, inode, self._digests)
        if other is None:
            return
        known = self.process
        if other.uid != self.uid or (known is not None and not same_executable(known, other)):
            raise AttestationError(
                f"the connection is held by two identities: {_named(self.uid, known)} and {_named(other.uid, other)}",
                hint="connect from the process that makes the calls, and don't let children inherit the connection",
            )

    def close(self) -> None:
        """Give the handles on the process back. May be called again; `still` raises afterwards."""
        self._watch = None
        if self._pidfd is not None:
            self._pidfd.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def observe_holder(pid: int, inode: int, digests: Digests) -> Process | None:
    """The process `pid`, observed while it held socket `inode`; None when it no longer does.

    A child between fork and exec holds its parent's sockets and drops them as its executable changes (close-on-exec),
    so it must still hold the socket *after* it was looked at. Raises AttestationError when that can't be told.
    """
    try:
        pidfd = PidFd.open(pid)
    except AttestationError:
        return None  # gone, and its descriptors with it
    try:
        return _observed_holding(pid, inode, digests, pidfd)
    finally:
        pidfd.close()


def _observed_holding(pid: int, inode: int, digests: Digests, pidfd: PidFd) -> Process | None:
    problem: AttestationError | None = None
    other: Process | None = None
    try:
        other = procfs.observe(pid, digests=digests)
    except AttestationError as error:
        problem = error
    try:
        held = holders.holds(pid, inode)
        pidfd.alive()
    except PermissionError as error:
        raise AttestationError(f"can no longer see what process {pid} holds") from error
    except AttestationError:
        return None  # exited meanwhile
    if held and problem is not None:
        raise problem
    return other if held else None


def same_executable(one: Process, other: Process) -> bool:
    """By digest where both are known, else by file; two unknown ones count as the same, one unknown does not."""
    if one.exe_sha256 is not None and other.exe_sha256 is not None:
        return one.exe_sha256 == other.exe_sha256
    return one.exe_node == other.exe_node


def _unchanged(process: Process, watch: Watch | None) -> None:
    pid = process.pid
    try:
        uid = procfs.effective_uid(pid)
    except OSError as error:
        raise AttestationError(f"process {pid} has exited") from error
    if uid != process.uid:
        raise AttestationError(f"process {pid} changed its uid from {process.uid} to {uid}")
    node, stamp = executable_file(pid) if watch is None else watch.file()
    if node != process.exe_node:
        raise AttestationError(f"process {pid} changed its executable", hint="connect again")
    if stamp != process.exe_stamp:
        raise ReplacedError(f"the executable of process {pid} was replaced or written to", hint="connect again")
    if process.exe_node is None:
        with told():
            if procfs.read_stat(pid).start != process.start:
                raise AttestationError(f"process {pid} has exited")


def _must_hold(pid: int, inode: int) -> None:
    try:
        if not holders.holds(pid, inode):
            raise AttestationError(f"process {pid} passed its connection on")
    except PermissionError:
        return  # not checked: its descriptors can't be read, it is known by SO_PEERCRED


def _named(uid: int, process: Process | None) -> str:
    if process is None:
        return f"uid {uid}"
    # Not where it lies: this goes into the log, and a path may name a person.
    program = process.name if process.exe is None else process.exe.rpartition("/")[2]
    return f"`{program}` (pid {process.pid}, uid {uid})"
