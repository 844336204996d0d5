"""The attestor: alone sees other users' processes, and answers nothing but facts about a pid, on inherited lines.

`python -I -m remit.sandbox.attestor --line FD`: FD is the door, through which lines are handed in
(`attestor_line.py`). It keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH of what it is started with, writes nothing,
opens no socket, starts nothing, and ends when the door is closed.
"""

# A Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116, PTH123, PTH208

import argparse
import ctypes
import errno
import hashlib
import os
import platform
import resource
import socket
import stat
import struct
import sys
import threading
from contextlib import ExitStack, suppress
from typing import Final

from remit import attestor_line as line
from remit.sandbox import capabilities
from remit.sandbox.attestor_terminals import opened
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.seccomp import READ_ONLY, THREADS_ONLY, Argument, Filter

KEPT: Final = (capabilities.CAP_SYS_PTRACE, capabilities.CAP_DAC_READ_SEARCH)
MAX_LINES: Final = 32
MAX_DIGESTS: Final = 4096
MAX_FILE_BYTES: Final = 4 << 30
MAX_SCRIPT_BYTES: Final = 64 << 20
MAX_LINKS: Final = 40  # the kernel's own limit on one path's symbolic links (path_resolution(7))
MEMORY_BYTES: Final = 1 << 30  # of addresses, most of them threads' stacks and heaps
_STACK_BYTES: Final = 256 << 10
_KCMP: Final = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
_KCMP_FILES: Final = 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

# Why each is allowed: docs/attestor.md.
FILTER: Final = Filter(
    allow=frozenset(
        word
        for line_of in (
            "read close fstat newfstatat readlinkat readlink stat lstat getdents64 lseek ioctl kcmp",
            "recvmsg recvfrom sendmsg mmap munmap mprotect mremap madvise brk futex rseq set_robust_list",
            "rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack getpid gettid getrandom clock_gettime sched_yield",
            "restart_syscall exit exit_group fcntl getsockname getpeername getsockopt",
        )
        for word in line_of.split()
    ),
    only={"openat": READ_ONLY, "clone": THREADS_ONLY, "write": (Argument(0, 0xFFFFFFFFFFFFFFFF, 2),)},
)

_digests: dict[line.Key, bytes] = {}


def main() -> int:
    """Become what the first lines say, then answer until the door is closed."""
    parser = argparse.ArgumentParser(prog="remit.sandbox.attestor")
    parser.add_argument("--line", type=int, required=True)
    door = parser.parse_args().line
    close_fds({0, 1, 2, door})
    harden()
    capabilities.keep(KEPT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.stack_size(_STACK_BYTES)
    FILTER.apply()
    take_lines(socket.socket(fileno=door))
    return 0


def take_lines(door: socket.socket) -> None:
    """A thread for each line that is handed in; returns when the door is closed."""
    slots = threading.Semaphore(MAX_LINES)
    while True:
        message, fds, _, _ = socket.recv_fds(door, len(line.ADOPT), 4, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        handed = [socket.socket(fileno=fd) for fd in fds]
        if message != line.ADOPT or len(handed) != 1 or not slots.acquire(blocking=False):
            for one in handed:
                one.close()
            continue
        threading.Thread(target=_serve, args=(handed[0], slots), daemon=True).start()


def _serve(asker: socket.socket, slots: threading.Semaphore) -> None:
    """Answer on one line until it is closed or says what is no question."""
    with asker, suppress(OSError, struct.error, ValueError, MemoryError):
        while message := asker.recv(line.MAX_MESSAGE):
            number, pid, asked = line.QUESTION.unpack_from(message)
            code, facts, fds = answer(line.Ask(asked), pid, message[line.QUESTION.size :])
            try:
                socket.send_fds(asker, [line.ANSWER.pack(number, pid, code), facts], fds)
            finally:
                for fd in fds:
                    os.close(fd)
    slots.release()


def answer(asked: line.Ask, pid: int, given: bytes) -> tuple[int, bytes, list[int]]:
    """(errno, facts, descriptors); raises ValueError or struct.error for what is no question."""
    try:
        if asked in {line.Ask.HELD, line.Ask.TERMINAL}:
            return 0, held(given) if asked is line.Ask.HELD else opened(given, _tables_apart), []
        if pid <= 0:
            raise ProcessLookupError(errno.ESRCH, "no process id")
        match asked:
            case line.Ask.FILE:
                return 0, line.FILE.pack(*key_of(os.stat(f"/proc/{pid}/exe"))), []
            case line.Ask.PROGRAM:
                return 0, program(pid), []
            case line.Ask.WATCH:
                return 0, *watch(pid)
            case line.Ask.SCRIPT:
                return 0, script(pid, given), []
    except OSError as error:
        return error.errno or errno.EIO, b"", []


def key_of(status: os.stat_result) -> line.Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def program(pid: int) -> bytes:
    """The executable that runs, the same before and after it was looked at."""
    exe = f"/proc/{pid}/exe"
    key = key_of(os.stat(exe))
    link = os.readlink(exe.encode())
    facts = line.named(key, at(link), link, namespace(pid), digest(exe, key, MAX_FILE_BYTES))
    if key_of(os.stat(exe)) != key:
        raise OSError(errno.ESTALE, "it changed its executable")
    return facts


def watch(pid: int) -> tuple[bytes, list[int]]:
    """The executable by name alone (O_PATH), and a file of its memory that has nothing to read once that is gone."""
    exe = f"/proc/{pid}/exe"
    with ExitStack() as undo:
        file = _opened(undo, exe, os.O_PATH)
        try:
            memory = _opened(undo, f"/proc/{pid}/pagemap")
        except FileNotFoundError:  # a kernel without CONFIG_PROC_PAGE_MONITOR
            memory = _opened(undo, f"/proc/{pid}/maps")
        key = key_of(os.fstat(file))
        if key_of(os.stat(exe)) != key:
            raise OSError(errno.ESTALE, "it changed its executable")
        undo.pop_all()
    return line.FILE.pack(*key), [file, memory]


def script(pid: int, path: bytes) -> bytes:
    """The file at `path` as `pid` sees it: below its root, relative to where it stands."""
    if not path or len(path) > line.MAX_PATH or b"\0" in path:
        raise OSError(errno.EINVAL, "no path")
    place = path if path.startswith(b"/") else os.readlink(f"/proc/{pid}/cwd".encode()) + b"/" + path
    with ExitStack() as undo:
        file = beneath(_opened(undo, f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY), place, undo)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SCRIPT_BYTES:
            raise OSError(errno.EINVAL, "no script")
        here = f"/proc/self/fd/{file}"
        link, key = os.readlink(here.encode()), key_of(status)
        return line.named(key, at(link), link, namespace(pid), digest(here, key, MAX_SCRIPT_BYTES))


def beneath(root: int, path: bytes, undo: ExitStack) -> int:
    """As openat2(2) with RESOLVE_IN_ROOT, whose flags no filter can see: `..` and links never lead out of `root`."""
    way, left, links = [root], path.split(b"/")[::-1], 0
    while left:
        name = left.pop()
        if name in {b"", b"."}:
            continue
        if name == b"..":
            del way[max(len(way) - 1, 1) :]
            continue
        here = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=way[-1])
        undo.callback(os.close, here)
        if not stat.S_ISLNK(os.fstat(here).st_mode):
            way.append(here)
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, "too many links")
        target = os.readlink(b"", dir_fd=here)
        if target.startswith(b"/"):
            del way[1:]
        left += target.split(b"/")[::-1]
    return way[-1]


def digest(path: str, key: line.Key, most: int) -> bytes | None:
    """SHA-256 of the file behind `path`, which `key` names; None if it can't be read, is too large or is another."""
    known = _digests.get(key)
    if known is not None or key[2] > most:
        return known
    try:
        with open(path, "rb", buffering=0) as file:
            first = key_of(os.fstat(file.fileno()))
            made = hashlib.file_digest(file, "sha256").digest()
            if not first == key == key_of(os.fstat(file.fileno())):
                return None
    except PermissionError:
        return None
    if len(_digests) >= MAX_DIGESTS:
        _digests.clear()
    _digests[key] = made
    return made


def at(link: bytes) -> tuple[int, int, int]:
    """What lies where the kernel's link leads, here."""
    try:
        status = os.stat(link)
    except PermissionError:
        return line.HIDDEN, 0, 0
    except OSError:
        return line.ELSEWHERE, 0, 0
    return line.THERE, status.st_dev, status.st_ino


def namespace(pid: int) -> bytes:
    return os.readlink(f"/proc/{pid}/ns/mnt".encode())


def held(given: bytes) -> bytes:
    """Which of these sockets, or terminals' masters, these processes hold: as room and budget allow."""
    how, budget, sockets, pids = line.SEARCH.unpack_from(given)
    if sockets > line.MAX_SOCKETS or pids > line.MAX_PIDS:
        raise ValueError("too much at once")
    inodes = struct.unpack_from(f"={sockets}Q", given, line.SEARCH.size)
    looked = struct.unpack_from(f"={pids}i", given, line.SEARCH.size + 8 * sockets)
    name = b"tty-index:\t%d" if how & line.MASTERS else b"socket:[%d]"
    wanted = {name % inode: index for index, inode in enumerate(inodes)}
    done, spent, room, found = 0, 0, line.MAX_MESSAGE - 64, []
    for pid in looked:
        if done and (room < line.HOLDER.size + 2 * sockets or spent >= budget):
            break
        code, indices, read = _held_by(pid, wanted, how, budget - spent)
        done, spent = done + 1, spent + read
        if code or indices:
            found.append(line.HOLDER.pack(pid, code, len(indices)) + struct.pack(f"={len(indices)}H", *indices))
            room -= len(found[-1])
    return line.FOUND.pack(done, spent) + b"".join(found)


def _held_by(pid: int, wanted: dict[bytes, int], how: int, budget: int) -> tuple[int, list[int], int]:
    """(errno, indices of the sockets, descriptors that were read); E2BIG when there are more than that."""
    found: set[int] = set()
    read = 0
    try:
        for directory in [f"/proc/{pid}/fd", *(_tables_apart(pid) if how & line.EVERY_THREAD else [])]:
            with ExitStack() as undo:
                table = _opened(undo, directory, os.O_DIRECTORY)
                for name in reversed(os.listdir(table)):
                    read += 1
                    if read > budget:
                        return errno.E2BIG, [], read
                    with suppress(FileNotFoundError):
                        is_ = (
                            _master(table, directory, name)
                            if how & line.MASTERS
                            else os.readlink(name.encode(), dir_fd=table)
                        )
                        found.add(wanted.get(is_, -1))
                    if len(found) > len(wanted):
                        break
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        pass  # gone, or one of its threads is
    except OSError as error:
        return error.errno or errno.EIO, [], read
    return 0, sorted(found - {-1}), read


def _master(table: int, directory: str, name: str) -> bytes:
    """What the kernel says last of an open master: of which terminal it is (proc_pid_fdinfo(5))."""
    if os.stat(name, dir_fd=table).st_rdev != line.PTMX:
        return b""
    with open(f"{directory}info/{name}", "rb", buffering=0) as told:
        return told.read(4096).rstrip().rpartition(b"\n")[2]


def _tables_apart(pid: int) -> list[str]:
    """The tables of threads that are not known to share the main thread's."""
    if os.stat(f"/proc/{pid}/task").st_nlink <= 3:
        return []
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    apart = (one for one in threads if one != pid and not _shared(pid, one))
    return [f"/proc/{pid}/task/{one}/fd" for one in apart]


def _shared(one: int, other: int) -> bool:
    return _KCMP is not None and _LIBC.syscall(_KCMP, one, other, _KCMP_FILES, 0, 0) == 0


def _opened(undo: ExitStack, path: str, flags: int = 0) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    undo.callback(os.close, fd)
    return fd


if __name__ == "__main__":
    sys.exit(main())
