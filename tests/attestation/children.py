"""Real child processes to attest: each runs one function after a fork, and talks with the test over a socketpair."""

import ctypes
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

NOBODY = 65534
PATIENCE = 20.0  # seconds; no test waits this long unless it fails
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE, _PR_SET_NAME = 4, 15
_CLONE_FILES = 0x400

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: no process of another uid can be started")


class Child:
    """A forked process. `hear` waits for its next word; `say` gives it one."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self.line = line

    def hear(self) -> str:
        ready, _, _ = select.select([self.line], [], [], PATIENCE)
        assert ready, f"child {self.pid} said nothing"
        return self.line.recv(65536).decode()

    def say(self, word: str = "go") -> None:
        self.line.send(word.encode())

    def wait_until_exited(self) -> None:
        """Until it is a zombie; it stays one until the test ends."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


@contextmanager
def forked(body: Callable[[socket.socket], object]) -> Iterator[Child]:
    """Run `body(line)` in a child, at the head of a process group of its own that is killed when the block ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _be_child(body, theirs, ours)
    theirs.close()
    try:
        yield Child(pid, ours)
    finally:
        for kill in (os.killpg, os.kill):  # the second one in case the child did not get as far as making the group
            with suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()


def _be_child(body: Callable[[socket.socket], object], line: socket.socket, other: socket.socket) -> None:
    other.close()
    try:
        os.setsid()
        body(line)
    except BaseException as error:  # noqa: BLE001 the child's outermost frame: its test hears of it
        with suppress(OSError):
            line.send(f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(0)


def idle(line: socket.socket) -> None:
    """Say that all is set up, then wait for a word."""
    line.send(b"ready")
    line.recv(100)


def become_nobody(*, dumpable: bool = True) -> None:
    """Change uid; that alone makes a process not dumpable until it says otherwise or execs."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    set_dumpable(dumpable)


def set_dumpable(dumpable: bool) -> None:
    assert _LIBC.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0) == 0


def set_name(name: bytes) -> None:
    assert _LIBC.prctl(_PR_SET_NAME, name, 0, 0, 0) == 0


def unshare_descriptors() -> None:
    """Give the calling thread its own descriptor table."""
    assert _LIBC.unshare(_CLONE_FILES) == 0


def without_netlink() -> None:
    """Forbid this process to make netlink sockets, as a container's seccomp filter may (EAFNOSUPPORT)."""
    import platform
    import struct

    number = {"x86_64": 41, "aarch64": 198}[platform.machine()]  # socket(2)
    program = b"".join(
        struct.pack("=HBBI", *step)
        for step in (
            (0x20, 0, 0, 0),  # load the system call's number
            (0x15, 0, 3, number),
            (0x20, 0, 0, 16),  # load its first argument
            (0x15, 0, 1, socket.AF_NETLINK),
            (0x06, 0, 0, 0x00050000 | 97),  # SECCOMP_RET_ERRNO | EAFNOSUPPORT
            (0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
        )
    )
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    assert _LIBC.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert _LIBC.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) == 0  # PR_SET_SECCOMP, filter
