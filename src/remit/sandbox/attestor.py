"""The attestor: alone sees other users' processes, and answers nothing but facts about a pid, on inherited lines.

`python -I -m remit.sandbox.attestor --line FD`: FD is the door, through which lines are handed in
(`attestor_line.py`). It keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH of what it is started with, writes nothing,
opens no socket, starts nothing, and ends when the door is closed.
"""

# ruff: noqa: PTH110, PTH115, PTH116, PTH123, PTH208 (a Path object costs more than the call itself)

import errno
import hashlib
import os
import resource
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from typing import Final

from remit import attestor_line as line
from remit.attestor_line import Ask
from remit.descriptor_tables import node, tables
from remit.sandbox import capabilities
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.seccomp import READ_ONLY, THREADS_ONLY, Argument, Filter

KEPT: Final = (capabilities.CAP_SYS_PTRACE, capabilities.CAP_DAC_READ_SEARCH)
MAX_LINES: Final = 32
MAX_DIGESTS: Final = 4096
MAX_STEPS: Final = 256  # of a path and its links: each keeps a directory open
MEMORY_BYTES: Final = 1 << 30  # of addresses, most of them threads' stacks and heaps
MEMORY: Final = "pagemap" if os.path.exists("/proc/self/pagemap") else "maps"  # CONFIG_PROC_PAGE_MONITOR

# Why each is allowed: docs/attestor.md.
_CALLS: Final = (
    "read close fstat newfstatat readlinkat readlink stat lstat statx getdents64 lseek ioctl kcmp "
    "recvmsg recvfrom sendmsg mmap munmap mprotect mremap madvise brk futex rseq set_robust_list "
    "rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack getpid gettid getrandom clock_gettime sched_yield "
    "restart_syscall exit exit_group fcntl getsockname getpeername getsockopt"
)
FILTER: Final = Filter(
    allow=frozenset(_CALLS.split()),
    only={"openat": READ_ONLY, "clone": THREADS_ONLY, "write": (Argument(0, 0xFFFFFFFFFFFFFFFF, 2),)},
)

Facts = tuple[bytes, list[int]]  # with descriptors that go with them
_digests: dict[line.Key, bytes] = {}


def main() -> None:
    """Become what the first lines say, then answer until the door is closed."""
    door = int(sys.argv[sys.argv.index("--line") + 1])
    close_fds({0, 1, 2, door})
    harden()
    capabilities.keep(KEPT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.stack_size(256 << 10)
    FILTER.apply()
    take_lines(socket.socket(fileno=door))


def take_lines(door: socket.socket) -> None:
    """A thread for each line that is handed in; returns when the door is closed."""
    while (taken := socket.recv_fds(door, len(line.ADOPT), 1, socket.MSG_CMSG_CLOEXEC))[0]:
        for asker in [socket.socket(fileno=fd) for fd in taken[1]]:
            if taken[0] == line.ADOPT and threading.active_count() <= MAX_LINES:
                threading.Thread(target=_serve, args=(asker,), daemon=True).start()
            else:
                asker.close()


def _serve(asker: socket.socket) -> None:
    """Answer on one line until it is closed or says what is no question."""
    with asker, suppress(OSError, struct.error, ValueError, MemoryError):
        while message := asker.recv(line.MAX_MESSAGE):
            number, pid, asked = line.QUESTION.unpack_from(message)
            with ExitStack() as undo:
                try:
                    code, (facts, fds) = 0, ANSWERS[Ask(asked)](pid, message[line.QUESTION.size :], undo)
                except OSError as error:
                    code, facts, fds = error.errno or errno.EIO, b"", []
                socket.send_fds(asker, [line.ANSWER.pack(number, pid, code), facts], fds)


def file(pid: int, _given: bytes, _undo: ExitStack) -> Facts:
    return line.FILE.pack(*key_of(os.stat(f"/proc/{pid}/exe"))), []


def program(pid: int, given: bytes, undo: ExitStack) -> Facts:
    """The executable that runs, the same before and after it was looked at; hashed up to a size."""
    facts = named(pid, _opened(undo, f"/proc/{pid}/exe", os.O_PATH), *line.MOST.unpack_from(given))
    if not facts.startswith(file(pid, given, undo)[0]):
        raise OSError(errno.ESTALE, "it changed its executable")
    return facts, []


def watch(pid: int, given: bytes, undo: ExitStack) -> Facts:
    """The executable by name alone (O_PATH), and a file of its memory that has nothing to read once that is gone."""
    opened = _opened(undo, f"/proc/{pid}/exe", os.O_PATH)
    memory = _opened(undo, f"/proc/{pid}/{MEMORY}")
    if (facts := line.FILE.pack(*key_of(os.fstat(opened)))) != file(pid, given, undo)[0]:
        raise OSError(errno.ESTALE, "it changed its executable")
    return facts, [opened, memory]


def at_path(pid: int, given: bytes, undo: ExitStack) -> Facts:
    """The file at a path as `pid` sees it, by name alone, with its kind by how it begins; hashed up to a size."""
    [most], path = line.MOST.unpack_from(given), given[line.MOST.size :]
    opened = beneath(pid, path, undo)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        return line.IRREGULAR + named(pid, opened, -1), [opened]
    head = os.read(_opened(undo, f"/proc/self/fd/{opened}"), line.HEAD_BYTES)
    return line.kind(head) + named(pid, opened, most), [opened]


def key_of(status: os.stat_result) -> line.Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def named(pid: int, opened: int, most: int) -> bytes:
    """A file's path, what lies there for us, and its digest if it has no more bytes than that."""
    here = f"/proc/self/fd/{opened}"
    link, key = os.readlink(here.encode()), key_of(os.fstat(opened))
    hashed = digest(here, key) if key[2] <= most else None
    return line.named(key, at(link), link, os.readlink(f"/proc/{pid}/ns/mnt".encode()), hashed)


def beneath(pid: int, path: bytes, undo: ExitStack) -> int:
    """The file at `path` as `pid` sees it: below its root, relative to where it stands.

    As openat2(2) with RESOLVE_IN_ROOT, whose flags no filter can see: `..` and links never lead out of the root.
    """
    place = path if path.startswith(b"/") else os.readlink(f"/proc/{pid}/cwd".encode()) + b"/" + path
    way, left = [_opened(undo, f"/proc/{pid}/root", os.O_PATH)], place.split(b"/")[::-1]
    for _ in range(MAX_STEPS):
        if not left:
            return way[-1]
        if (name := left.pop()) == b"..":
            del way[max(len(way) - 1, 1) :]
        if name in {b"", b".", b".."}:
            continue
        here = _opened(undo, name, os.O_PATH | os.O_NOFOLLOW, way[-1])
        if stat.S_ISLNK(os.fstat(here).st_mode):
            target = os.readlink(b"", dir_fd=here)
            del way[1 if target.startswith(b"/") else len(way) :]
            left += target.split(b"/")[::-1]
        else:
            way.append(here)
    raise OSError(errno.ELOOP, "too long a way")


def digest(path: str, key: line.Key) -> bytes | None:
    """SHA-256 of the file behind `path`, which `key` names; None if it can't be read or is written to meanwhile."""
    if (known := _digests.get(key)) is not None:
        return known
    try:
        with open(path, "rb", buffering=0) as opened:
            made = hashlib.file_digest(opened, "sha256").digest()
            if key_of(os.fstat(opened.fileno())) != key:
                return None
    except PermissionError:
        return None
    if len(_digests) >= MAX_DIGESTS:
        _digests.clear()
    if time.time_ns() - key[4] > 2 * 10**9:  # file systems stamp times as coarsely as that (FAT)
        _digests[key] = made
    return made


def at(link: bytes) -> tuple[int, int, int]:
    """What lies where the kernel's link leads, here."""
    try:
        status = os.stat(link)
    except OSError as error:
        return line.HIDDEN if isinstance(error, PermissionError) else line.ELSEWHERE, 0, 0
    return line.THERE, status.st_dev, status.st_ino


def held(_pid: int, given: bytes, _undo: ExitStack) -> Facts:
    """Which of these sockets or terminals these processes hold: as room and budget allow."""
    how, budget, count, pids = line.SEARCH.unpack_from(given)
    numbers = struct.unpack_from(f"={count}Q{pids}i", given, line.SEARCH.size)
    wanted = {name: index for index, name in enumerate(line.names(how, numbers[:count]))}
    done, spent, found = 0, 0, b""
    for pid in numbers[count:]:
        if done and (len(found) > line.MAX_MESSAGE - 128 - 2 * count or spent >= budget):
            break
        code, indices, read = _held_by(pid, wanted, how, budget - spent)
        done, spent = done + 1, spent + read
        if code or indices:
            found += line.HOLDER.pack(pid, code, len(indices)) + struct.pack(f"={len(indices)}H", *indices)
    return line.FOUND.pack(done, spent) + found, []


def _held_by(pid: int, wanted: dict[bytes, int], how: int, budget: int) -> tuple[int, list[int], int]:
    """(errno, indices of what it holds, descriptors that were read); E2BIG when there are more than that."""
    found, read = {-1}, 0
    try:
        for place in tables(pid, every_thread=bool(how & line.EVERY_THREAD)):
            with ExitStack() as undo:
                table = _opened(undo, place, os.O_DIRECTORY)
                for name in reversed(os.listdir(table)):  # by number: a connection just made is most likely the last
                    if len(found) > len(wanted):
                        break
                    if (read := read + 1) > budget:
                        return errno.E2BIG, [], read
                    with suppress(FileNotFoundError):
                        found.add(wanted.get(_called(place, table, name, how, wanted), -1))
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        pass  # gone, or one of its threads is
    except OSError as error:
        return error.errno or errno.EIO, [], read
    return 0, sorted(found - {-1}), read


def _called(place: str, table: int, name: str, how: int, wanted: Collection[bytes]) -> bytes:
    """What the kernel itself calls a descriptor (proc_pid_fdinfo(5)): a file's own system may never answer."""
    link = os.readlink(name.encode(), dir_fd=table)
    if not how & (line.MASTERS | line.TERMINAL) or link.startswith(line.NO_FILE):
        return link
    with open(f"{place}info/{name}", "rb", buffering=0) as info:
        told = info.read(4096)
    if how & line.MASTERS:
        return told.rstrip().rpartition(b"\n")[2]
    own = told.partition(b"\nino:\t")[2].partition(b"\n")[0]  # none before Linux 5.14
    if not link.endswith(b"/tty") and own and not any(one.endswith(b":" + own) for one in wanted):
        return b""
    device, inode, itself = node(table, name)
    return line.TTY if itself == line.OWN_TERMINAL else b"%d:%d" % (device, inode)


def _opened(undo: ExitStack, path: str | bytes, flags: int = 0, beside: int | None = None) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=beside)
    undo.callback(os.close, fd)
    return fd


ANSWERS: Final = {Ask.FILE: file, Ask.PROGRAM: program, Ask.WATCH: watch, Ask.AT_PATH: at_path, Ask.HELD: held}


if __name__ == "__main__":
    main()
