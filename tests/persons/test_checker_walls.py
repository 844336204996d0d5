"""What the checker of passwords could do if it were taken over: nothing but read files and end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import remit

SOURCE = str(Path(remit.__file__).parents[1])
HEAD = f"""
import ctypes, fcntl, os, resource, signal, socket, sys, termios
sys.path.insert(0, {SOURCE!r})
from remit.persons.checker_walls import PARENT, WALLS
from remit.sandbox.hardening import harden
harden()
libc = ctypes.CDLL(None, use_errno=True)
def call(done):
    if done < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
before, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
PARENT.apply()
if {{inner}}: WALLS.apply()
try:
    {{tried}}
except OSError as error:
    os._exit(error.errno)
os._exit(0)
"""
EPERM, EAFNOSUPPORT = 1, 97

BOTH = {
    "write a file": "os.open(sys.argv[1], os.O_WRONLY)",
    "make a file": "os.open(sys.argv[1] + '.new', os.O_CREAT | os.O_RDONLY, 0o600)",
    "remove a file": "os.unlink(sys.argv[1])",
    "rename a file": "os.rename(sys.argv[1], sys.argv[1] + '.moved')",
    "give a file away": "os.chown(sys.argv[1], 1, 1)",
    "change a file's mode": "os.chmod(sys.argv[1], 0o4755)",
    "link a file": "os.link(sys.argv[1], sys.argv[1] + '.link')",
    "make a directory": "os.mkdir(sys.argv[1] + '.d')",
    "cut a file": "os.truncate(sys.argv[1], 0)",
    "write where it is told": "os.write(1, b'x')",
    "start a program": "os.execv('/bin/true', ['true'])",
    "signal another": "os.kill(os.getppid(), 0)",
    "signal a thread": "call(libc.tgkill(1, 1, 0))",
    "signal by descriptors": "fcntl.fcntl(before, fcntl.F_SETOWN, os.getppid())",
    "type into a terminal": "fcntl.ioctl(0, termios.TIOCSTI, b'x')",
    "be somebody else": "os.setuid(1)",
    "be in another namespace": "call(libc.unshare(0x10000000))",
    "mount": "call(libc.mount(b'none', b'/nowhere', b'tmpfs', 0, None))",
    "look into a process": "call(libc.ptrace(16, os.getppid(), 0, 0))",
    "send to another address": "before.sendto(b'x', '/run/systemd/notify')",
    "have a set of keys": "call(libc.syscall({'x86_64': 250, 'aarch64': 219}[os.uname().machine], 0, -3, 1))",
}
INNER = {"have a child": "os.fork()", "wait for one": "os.waitpid(-1, 0)"}
SOCKETS = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK")


def tried(what: str, path: Path, *, inner: bool) -> int:
    path.write_text("as it was")
    child = subprocess.run(
        [sys.executable, "-I", "-c", HEAD.format(inner=inner, tried=what), str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert path.read_text() == "as it was"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert child.stdout == b""
    return child.returncode


@pytest.mark.parametrize("what", BOTH)
def test_nothing_can_be_changed_from_within(what: str, tmp_path: Path) -> None:
    assert tried(BOTH[what], tmp_path / "file", inner=False) == EPERM


@pytest.mark.parametrize("what", INNER)
def test_a_check_can_do_less_still(what: str, tmp_path: Path) -> None:
    assert tried(INNER[what], tmp_path / "file", inner=True) == EPERM


@pytest.mark.parametrize("family", SOCKETS)
def test_no_socket_can_be_opened(family: str, tmp_path: Path) -> None:
    kind = "SOCK_RAW" if family in {"AF_NETLINK", "AF_PACKET"} else "SOCK_STREAM"
    what = f"socket.socket(socket.{family}, socket.{kind})"
    assert tried(what, tmp_path / "file", inner=False) == EAFNOSUPPORT


def test_what_it_is_for_goes_on(tmp_path: Path) -> None:
    assert tried("os.close(os.open('/etc/passwd', os.O_RDONLY))", tmp_path / "file", inner=True) == 0
    assert tried("os._exit(0) if os.fork() else os._exit(1)", tmp_path / "file", inner=False) == 0
    assert tried("call(libc.socket(1, 1, 0))", tmp_path / "file", inner=True) == EAFNOSUPPORT


def test_a_check_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    what = "signal.setitimer(signal.ITIMER_REAL, 0.01); [0 for _ in iter(int, 1)]"
    assert tried(what, tmp_path / "file", inner=True) == -signal.SIGALRM
