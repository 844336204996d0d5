"""Looking at processes through the attestor, which sees those of other users (system mode)."""

import errno
import os
import socket
import struct
import threading
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from remit import attestor_line as line
from remit.attestor_line import Ask
from remit.errors import AttestationError
from remit.identity.attestation.asking import GoneError, Lines
from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.digests import MAX_EXECUTABLE_BYTES, Digests
from remit.identity.attestation.direct import Direct
from remit.identity.attestation.eyes import (
    MAX_SCRIPT_BYTES,
    UNKNOWN,
    Found,
    Links,
    Node,
    Program,
    Stamp,
    Watch,
    look_through,
)
from remit.identity.attestation.names import Link, path_told
from remit.identity.attestation.shortage import is_shortage

Pids = list[int]
_T = TypeVar("_T")


class ThroughAttestor:
    """The attestor's eyes; one's own when it is gone: then who is not shown to this process is unknown."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._own = Direct()
        self._lock = threading.Lock()
        self._watches: weakref.WeakValueDictionary[int, MemoryWatch] = weakref.WeakValueDictionary()

    def file(self, pid: int) -> tuple[Node | None, Stamp | None]:
        try:
            return _file(self._lines.ask(Ask.FILE, pid)[0])
        except GoneError:
            return self._own.file(pid)
        except OSError as error:
            return _hidden(error, UNKNOWN).node, None

    def program(self, pid: int, digests: Digests | None) -> Program:
        """Hashed by the attestor, which remembers what it hashed; not at all without `digests`."""
        most = 0 if digests is None else MAX_EXECUTABLE_BYTES
        try:
            facts = self._lines.ask(Ask.PROGRAM, pid, line.MOST.pack(most))[0]
        except GoneError:
            return self._own.program(pid, digests)
        except OSError as error:
            return _hidden(error, UNKNOWN)
        node, stamp = _file(facts)
        exe, deleted, sha256 = _named(facts, node)
        return Program(node, stamp, exe, deleted, sha256)

    def script(self, pid: int, argument: bytes, digests: Digests) -> Found:
        try:
            facts, fds = self._lines.ask(Ask.AT_PATH, pid, line.MOST.pack(MAX_SCRIPT_BYTES) + argument)
        except GoneError:
            return self._own.script(pid, argument, digests)
        for one in fds:
            os.close(one)
        kind, facts = facts[:1], facts[1:]
        key = line.FILE.unpack_from(facts)
        if key[2] > MAX_SCRIPT_BYTES or kind == line.IRREGULAR:
            return Found(None, None, None, lasting=False)
        return Found(*named_there(facts), key, lasting=False)

    def sockets(self, pid: int, links: Links, budget: Budget, *, every_thread: bool) -> Links:
        [(_, held)] = self.tables([pid], links, budget, every_thread=every_thread)
        if held is None:
            raise PermissionError(errno.EACCES, "its descriptors can't be read")
        return held

    def tables(
        self, pids: Iterable[int], links: Links, budget: Budget, *, every_thread: bool
    ) -> Iterator[tuple[int, Links | None]]:
        left, how = iter(pids), line.EVERY_THREAD if every_thread else 0
        while some := list(islice(left, line.MAX_PIDS)):
            try:
                yield from self._held(some, links, budget, how)
            except GoneError:
                yield from self._own.tables(some, links, budget, every_thread=every_thread)

    def masters(self, pids: Iterable[int], index: int, budget: Budget) -> Iterator[tuple[int, bool | None]]:
        left, how = iter(pids), line.EVERY_THREAD | line.MASTERS
        while some := list(islice(left, line.MAX_PIDS)):
            try:
                held = self._held(some, frozenset({f"pty:[{index}]"}), budget, how)
                yield from ((pid, None if found is None else bool(found)) for pid, found in held)
            except GoneError:
                yield from self._own.masters(some, index, budget)

    def _held(self, pids: Pids, links: Links, budget: Budget, how: int) -> list[tuple[int, Links | None]]:
        """Of all of `pids`, or GoneError: none is told of twice."""
        told: dict[int, set[str] | None] = {pid: set() for pid in pids}
        names = iter(links)
        while some := list(islice(names, line.MAX_SOCKETS)):
            left = pids
            while left:
                left = left[self._ask_held(left, some, budget, how, told) :]
        return [(pid, None if held is None else frozenset(held)) for pid, held in told.items()]

    def _ask_held(
        self, pids: Pids, links: list[str], budget: Budget, how: int, told: dict[int, set[str] | None]
    ) -> int:
        """How many of `pids` it looked at; what they hold goes into `told`."""
        head = line.SEARCH.pack(how, min(budget.left, 0xFFFFFFFF), len(links), len(pids))
        inodes = struct.pack(f"={len(links)}Q", *(int(link.partition("[")[2][:-1]) for link in links))
        facts = self._lines.ask(Ask.HELD, 0, head + inodes + struct.pack(f"={len(pids)}i", *pids))[0]
        done, spent = line.FOUND.unpack_from(facts)
        budget.spend(spent)
        for pid, code, indices in line.holders(facts):
            before = told[pid]
            told[pid] = None if code or before is None else before | {links[index] for index in indices}
            if code:
                _hidden(OSError(code, os.strerror(code)), None)
        return int(done)

    def watch(self, pid: int) -> Watch | None:
        """Shared by all that ask for the same process while it runs the same program."""
        with self._lock:
            known = self._watches.get(pid)
        if known is not None and known.file()[0] is not None:
            return known
        try:
            facts, fds = self._lines.ask(Ask.WATCH, pid)
        except OSError as error:  # GoneError too: what was known a moment ago can't be kept known
            raise AttestationError(f"process {pid} can't be watched: {error.strerror}") from error
        del facts
        made = MemoryWatch(*fds)
        with self._lock:
            self._watches[pid] = made
        return made


def take_eyes(descriptors: Iterable[int]) -> Lines:
    """Look through the attestor from now on, over lines to it that are this process's from here on."""
    lines = Lines([socket.socket(fileno=one) for one in descriptors])
    look_through(ThroughAttestor(lines))
    return lines


class MemoryWatch:
    """Two descriptors: the executable by name alone, and a file of its memory, empty once that program is gone.

    `pread` of `/proc/PID/pagemap` gives 8 bytes while the address space that it was opened for is in use: until an
    exec or the exit. 1.1 µs, and 1.3 µs for the file.
    """

    __slots__ = ("__weakref__", "_file", "_memory")

    def __init__(self, file: int, memory: int) -> None:
        self._file, self._memory = file, memory

    def file(self) -> tuple[Node | None, Stamp | None]:
        try:
            if not os.pread(self._memory, 8, 0):
                return None, None
            status = os.fstat(self._file)
        except OSError:
            return None, None
        return (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def __del__(self) -> None:
        os.close(self._file)
        os.close(self._memory)


def _file(facts: bytes) -> tuple[Node, Stamp]:
    device, inode, size, mtime, ctime = line.FILE.unpack_from(facts)
    return (device, inode), (size, mtime, ctime)


def _named(facts: bytes, node: Node) -> tuple[str | None, bool, str | None]:
    """(path, deleted, SHA-256)."""
    there, device, inode, length, also, digest, known = line.NAMED.unpack_from(facts, line.FILE.size)
    start = line.FILE.size + line.NAMED.size
    link, namespace = facts[start : start + length], facts[start + length : start + length + also]
    at = (device, inode) if there == line.THERE else None
    path, deleted = path_told(Link(link, at, there == line.HIDDEN, os.fsdecode(namespace)), node)
    return path, deleted, digest.hex() if known else None


def named_there(facts: bytes) -> tuple[str | None, str | None]:
    """(path, SHA-256) of the file that such facts tell of; no path where another lies by now."""
    path, deleted, sha256 = _named(facts, _file(facts)[0])
    return None if deleted else path, sha256


def _hidden(error: OSError, unknown: _T) -> _T:
    """`unknown`, unless this machine is short of something: that says nothing about who is asked for."""
    if is_shortage(error) or error.errno == errno.E2BIG:
        raise error
    return unknown
