"""A network of a test's own, with an address besides loopback and a host beyond a cable; callers of any uid in it.

Threads of this process enter it (setns(2)) and open sockets as another uid (setfsuid(2)): both are a thread's own.
"""

import ctypes
import encodings.idna  # noqa: F401 (asked for by name, and then as a uid that may not read it)
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NEW_NETWORK = 0x40000000  # linux/sched.h: CLONE_NEWNET
HERE, HERE6 = "192.0.2.9", "2001:db8::9"
ELSEWHERE = "192.0.2.10"
_LIBC = ctypes.CDLL(None, use_errno=True)
_CABLE = (
    "ip link set lo up",
    "ip link add near type veth peer name far",
    f"ip addr add {HERE}/24 dev near",
    f"ip -6 addr add {HERE6}/64 dev near nodad",
    "ip link set near up",
)
_FAR = (
    "ip link set lo up",
    f"ip addr add {ELSEWHERE}/24 dev far",
    "ip -6 addr add 2001:db8::10/64 dev far nodad",
    "ip link set far up",
)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Network:
    """`fd` names it for setns; `far` the one at the other end of the cable."""

    fd: int
    far: int

    def inside(self, body: Callable[[], Result], uid: int = 0, *, far: bool = False) -> Result:
        """What `body` gives when it runs in there, with sockets of `uid`; its error is raised here."""
        return _run(self.far if far else self.fd, body, uid)

    def run(self, command: str, *, far: bool = False) -> str:
        """What a command says in there."""

        def body() -> str:
            return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout

        return self.inside(body, far=far)

    def nft(self, text: str) -> str:
        def body() -> str:
            return subprocess.run(
                ["/usr/sbin/nft", "-f", "-"], input=text, check=True, capture_output=True, text=True
            ).stdout

        return self.inside(body)

    def call(self, to: str, port: int, uid: int, *, far: bool = False) -> bytes:
        """What a server there answers to a caller of that uid; raises OSError when it is refused."""

        def body() -> bytes:
            family = socket.AF_INET6 if ":" in to else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as line:
                line.settimeout(5)
                line.connect((to, port))
                line.sendall(b"?")
                return line.recv(16)

        return self.inside(body, uid, far=far)


def _run(fd: int, body: Callable[[], Result], uid: int) -> Result:
    done: list[Result] = []
    failed: list[BaseException] = []

    def thread() -> None:
        try:
            _enter(fd, uid)
            done.append(body())
        except BaseException as error:  # noqa: BLE001 (raised in the thread that waits)
            failed.append(error)

    runner = threading.Thread(target=thread)
    runner.start()
    runner.join()
    if failed:
        raise failed[0]
    return done[0]


def _enter(fd: int, uid: int) -> None:
    if _LIBC.setns(fd, NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    _LIBC.setfsuid(uid)


def _new() -> int:
    made: list[int] = []

    def thread() -> None:
        if _LIBC.unshare(NEW_NETWORK) == 0:
            made.append(os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    runner = threading.Thread(target=thread)
    runner.start()
    runner.join()
    return made[0]


@contextmanager
def network() -> Iterator[Network]:
    here = Network(_new(), _new())
    try:
        for command in _CABLE:
            here.run(command)
        here.run(f"ip link set far netns /proc/{os.getpid()}/fd/{here.far}")
        for command in _FAR:
            here.run(command, far=True)
        yield here
    finally:
        os.close(here.fd)
        os.close(here.far)


class Server:
    """Answers `!` to what is said, one line after the other, at one address; `heard` is what it was told."""

    def __init__(
        self, network: Network, address: str, port: int = 0, *, uid: int = 0, only_ipv6: bool = False
    ) -> None:
        self.heard: list[bytes] = []
        self._network, self._uid = network, uid
        self.door = network.inside(lambda: _listening(address, port, only_ipv6=only_ipv6), uid)
        self.port: int = self.door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line:
            try:
                while said := line.recv(16):
                    self.heard.append(said)
                    line.sendall(b"!")
            except OSError:
                return

    def close(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self._thread.join(5)


def _listening(address: str, port: int, *, only_ipv6: bool) -> socket.socket:
    door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    if ":" in address:
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
    door.bind((address, port))
    door.listen()
    return door


def can_make_networks() -> bool:
    return os.getuid() == 0 and all(Path(one).exists() for one in ("/usr/sbin/nft", "/proc/self/ns/net"))
