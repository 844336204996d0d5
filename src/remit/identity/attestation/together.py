"""Attest connections of one uid in one pass: each process is listed once for all of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from remit.errors import AttestationError
from remit.identity.attestation import holders, procfs, sock_diag
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.kin import Children, children_now, kin
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.recent import Memory
from remit.identity.attestation.sock_diag import SocketFacts
from remit.identity.process import Process

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class CallersEnd:
    """The caller's end of one connection, found in the kernel's socket table."""

    local: Address
    remote: Address
    facts: SocketFacts

    @classmethod
    def find(cls, local: Address, remote: Address) -> "CallersEnd":
        return cls(local, remote, sock_diag.lookup(local, remote))

    def recheck(self) -> None:
        """Raises AttestationError unless the kernel still has this very socket."""
        now = sock_diag.lookup(self.local, self.remote)
        if (now.inode, now.uid) != (self.facts.inode, self.facts.uid):
            raise AttestationError("the connection's other end is another socket than before")


Answer = tuple[CallersEnd, Attested | AttestationError]


def attest_together(uid: int, ends: Iterable[CallersEnd], memory: Memory) -> Iterator[Answer]:
    """Who is behind each of `ends`, which were all made by `uid`, as soon as it is known.

    Good only for the uid's least remit until each caller's `finish_walk` has been through. Blocks: up to a few ms,
    longer among thousands of processes or while a new executable is hashed.
    """
    return _Pass(uid, ends, memory).answers()


@dataclass(frozen=True, slots=True)
class _Holder:
    """A process held by a handle that is never reused, and which of the sockets it held after it was looked at."""

    pidfd: PidFd
    process: Process
    held: frozenset[int]


class _Pass:
    def __init__(self, uid: int, ends: Iterable[CallersEnd], memory: Memory) -> None:
        self._uid = uid
        self._memory = memory
        self._left: defaultdict[int, list[CallersEnd]] = defaultdict(list)
        for end in ends:
            self._left[end.facts.inode].append(end)
        self._search = holders.quick(self._left)
        self._children: Children | None = None
        self._all_readable = True  # of the uid's own processes that were looked at

    def answers(self) -> Iterator[Answer]:
        """The likely processes one by one; each answers for all the sockets it holds."""
        try:
            for pid in holders.likely_of(self._uid, self._memory.recent.likely(self._uid)):
                yield from self._held_by(pid)
                self._all_readable &= pid not in self._search.unreadable
                if not self._left:
                    return
        except AttestationError as error:  # too many processes or open files to look through
            yield from self._all(list(self._left), error)
        for inode in list(self._left):
            yield from ((end, self._by_uid(end)) for end in self._left.pop(inode))

    def _held_by(self, pid: int) -> Iterator[Answer]:
        """1. The sockets it holds, 2. who of its kin holds them too: those shared by the same go together."""
        # 1
        held = self._search.held(pid) & self._left.keys()
        if not held:
            return
        # 2
        relatives = self._kin(pid)
        shared: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for inode in held:
            shared[pid, *(other for other in relatives if inode in self._search.held(other))].append(inode)
        for pids, inodes in shared.items():
            yield from self._shared_by(pids, inodes)

    def _shared_by(self, pids: tuple[int, ...], inodes: list[int]) -> Iterator[Answer]:
        """When forks share sockets, the one that lives longest is the caller."""
        oldest = _oldest(pids)
        try:
            with self._hold(oldest, inodes) as holder:
                self._memory.recent.called(self._uid, oldest)
                for inode in inodes:
                    yield from [(end, self._caller(holder, end, pids)) for end in self._left.pop(inode)]
        except AttestationError as error:
            yield from self._all(inodes, error)

    def _caller(self, holder: _Holder, end: CallersEnd, pids: tuple[int, ...]) -> Attested | AttestationError:
        try:
            return self._only(holder, end, pids)
        except AttestationError as error:
            return error

    def _only(self, holder: _Holder, end: CallersEnd, pids: tuple[int, ...]) -> Attested:
        """The caller, once none of the processes that hold its socket is somebody else."""
        if end.facts.inode not in holder.held:
            raise AttestationError(f"process {holder.process.pid} let go of the connection while it was looked at")
        with ExitStack() as undo:
            caller = self._attested(holder, end)
            undo.callback(caller.close)
            for pid in pids:
                caller.refuse_other(pid, end.facts.inode)
            caller.still()
            undo.pop_all()
        return caller

    def _attested(self, holder: _Holder, end: CallersEnd) -> Attested:
        return Attested(
            self._uid,
            holder.process,
            digests=self._memory.digests,
            pidfd=holder.pidfd.copy(),
            find_inode=partial(_inode, end.facts),
        )

    @contextmanager
    def _hold(self, pid: int, inodes: Iterable[int]) -> Iterator[_Holder]:
        pidfd = PidFd.open(pid)
        try:
            process = procfs.observe(pid, digests=self._memory.digests, parents=self._memory.lineages.parents)
            if process.uid != self._uid:
                raise AttestationError(f"the connection was made by uid {self._uid} and is held by uid {process.uid}")
            yield _Holder(pidfd, process, _still_held(pid, inodes))  # looked for now that the pid can't be reused
        finally:
            pidfd.close()

    def _kin(self, pid: int) -> list[int]:
        if self._children is None:
            self._children = children_now()
        return kin(pid, self._memory.lineages, self._children)

    def _all(self, inodes: Iterable[int], error: AttestationError) -> Iterator[Answer]:
        for inode in inodes:
            yield from ((end, error) for end in self._left.pop(inode, ()))

    def _by_uid(self, end: CallersEnd) -> Attested | AttestationError:
        """Known by the socket's uid where some process's descriptors can't be read; else nobody holds it."""
        uid = self._uid
        if self._all_readable:
            return AttestationError(
                f"no process of uid {uid} holds the connection that uid {uid} made",
                hint="call from the process and the user that connected",
            )
        find_inode = partial(_inode, end.facts)
        return Attested(uid, None, digests=self._memory.digests, find_inode=find_inode, recheck=end.recheck)


def _inode(facts: SocketFacts) -> int:
    return facts.inode


def _still_held(pid: int, inodes: Iterable[int]) -> frozenset[int]:
    try:
        return holders.still_held(pid, inodes)
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
