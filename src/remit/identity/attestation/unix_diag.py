"""Unix sockets in the kernel's table: all that listen, and who is at the other end of one (unix_diag_req)."""

import socket
import struct
from dataclasses import dataclass
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import netlink, proc_net

_REQUEST = struct.Struct("=BBHIIIII")  # family, protocol, _, states, inode, show, cookie
_ANSWER = struct.Struct("=BBBxIII")  # family, type, state, inode, cookie; then attributes
_SHOW_NAME, _SHOW_PEER = 0x1, 0x4  # UDIAG_SHOW_*
_NAME, _PEER = 0, 2  # UNIX_DIAG_*
_DUMP_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class UnixListener:
    """A unix socket that listens. `path` is as it was bound; an abstract name starts with `@`."""

    path: str
    inode: int


def unix_listeners() -> list[UnixListener]:
    """Every named unix socket that listens in this network namespace; raises AttestationError if unreadable."""
    named = [UnixListener(_path(name), inode) for name, inode in _listening() if name]
    return sorted(named, key=lambda one: one.path)


def _listening() -> list[tuple[bytes, int]]:
    request = _request(states=1 << netlink.TCP_LISTEN, inode=0, show=_SHOW_NAME)
    for _ in range(_DUMP_ATTEMPTS):
        try:
            return [parse_name(body) for body in netlink.ask(request, dump=True)]
        except InterruptedError:
            continue
        except OSError:
            break
    return list(proc_net.listening_unix(proc_net.read_table("unix")))


def peer_inode(inode: int) -> int:
    """The inode of the socket connected to socket `inode`; 0 when that was closed.

    Raises AttestationError where the kernel can't be asked: `/proc` does not tell peers.
    """
    try:
        answer = netlink.ask(_request(states=netlink.ALL_STATES, inode=inode, show=_SHOW_PEER))
    except OSError as error:
        hint = "load the kernel's `unix_diag` module, or call over loopback TCP"
        raise AttestationError(f"can't look up who is at the other end: {error.strerror}", hint=hint) from error
    return parse_peer(answer[0]) if answer else 0


def _request(*, states: int, inode: int, show: int) -> bytes:
    return _REQUEST.pack(socket.AF_UNIX, 0, 0, states, inode, show, netlink.ANY_COOKIE, netlink.ANY_COOKIE)


def parse_name(body: bytes) -> tuple[bytes, int]:
    """(name, inode) of one unix_diag_msg; the name is empty for an unnamed socket."""
    inode: int = _ANSWER.unpack_from(body)[3]
    return dict(netlink.attributes(body[_ANSWER.size :])).get(_NAME, b""), inode


def parse_peer(body: bytes) -> int:
    peer = dict(netlink.attributes(body[_ANSWER.size :])).get(_PEER, b"")
    return int(struct.unpack("=I", peer)[0]) if len(peer) == 4 else 0


def _path(name: bytes) -> str:
    if name[:1] == b"\0":
        return "@" + name[1:].decode("utf-8", "backslashreplace")
    return name.rstrip(b"\0").decode("utf-8", "backslashreplace")
