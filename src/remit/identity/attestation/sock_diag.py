"""TCP sockets in the kernel's table: one connection exactly, or all that listen (sock_diag(7), inet_diag_req_v2)."""

import functools
import socket
import struct
from dataclasses import dataclass
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import netlink, proc_net

End = tuple[bytes, int]
_REQUEST = struct.Struct("=BBBxI")  # family, protocol, extensions, states; then the socket's id
_PORTS = struct.Struct("!HH")
_ID_TAIL = struct.Struct("=III")  # interface, cookie
_ANSWER = struct.Struct("=BB2x 4s 16s 16s 12x 12x II")  # family, state, ports, ends, _, _, uid, inode
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"  # RFC 4291, 2.5.5.2
_DUMP_ATTEMPTS: Final = 3

# include/net/tcp_states.h. A connection that a server accepted is past SYN_SENT at its client. Its writer may have
# shut down one side (FIN_WAIT*, CLOSE_WAIT, LAST_ACK, CLOSING) while a process still holds it.
_STATES: Final = {1: "established", 4: "fin-wait-1", 5: "fin-wait-2", 8: "close-wait", 9: "last-ack", 11: "closing"}
_NOT_HELD: Final = "the connection's other end is not held by a process of this host"


@dataclass(frozen=True, slots=True)
class SocketFacts:
    """What the kernel says of one end of a TCP connection. `uid` created the socket; `inode` is never 0."""

    inode: int
    uid: int
    state: str


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP socket that listens. `uid` created it; `inode` is 0 when no process holds it any more."""

    family: socket.AddressFamily
    address: str
    port: int
    inode: int
    uid: int


@dataclass(frozen=True, slots=True)
class Row:
    """One inet_diag_msg. Mapped addresses are narrowed to IPv4."""

    family: int
    state: int
    local: End
    remote: End
    uid: int
    inode: int


def lookup(local: tuple[str, int], remote: tuple[str, int]) -> SocketFacts:
    """The socket whose own end is `local` and whose peer is `remote`.

    For a connection that a server accepted, `local` is the server's `getpeername()` and `remote` its `getsockname()`.
    IPv4-mapped IPv6 addresses are taken as IPv4. Raises AttestationError when the socket is not on this host, or its
    writer has exited (inode 0).
    """
    own, peer = _end(local), _end(remote)
    if len(own[0]) != len(peer[0]):
        raise AttestationError("the connection's two ends are of different address families")
    row = _by_netlink(own, peer)
    if row is None:
        row = _by_table(own, peer)
    return _facts(row)


def _facts(row: tuple[int, int, int] | None) -> SocketFacts:
    if row is None:
        raise AttestationError(_NOT_HELD, hint="call from the same host, or present an SVID")
    state, uid, inode = row
    if inode == 0:
        raise AttestationError("the process at the connection's other end has exited")
    if state not in _STATES:
        raise AttestationError(f"the connection's other end is in TCP state {state}, not connected")
    return SocketFacts(inode, uid, _STATES[state])


def _by_netlink(own: End, peer: End) -> tuple[int, int, int] | None:
    """(state, uid, inode); None when netlink can't be asked, so that the table must be read.

    The kernel says "no such file" both for an unknown connection and for a missing diag module. The two are told
    apart by asking for the server's end of the same connection, which its holder keeps open.
    """
    try:
        return _exact(own, peer)
    except FileNotFoundError:
        pass
    except OSError:
        return None
    try:
        _exact(peer, own)
    except OSError:
        return None
    raise AttestationError(_NOT_HELD, hint="call from the same host, or present an SVID")


def _exact(own: End, peer: End) -> tuple[int, int, int]:
    """One exact lookup; raises FileNotFoundError when the kernel has no socket with precisely these two ends.

    Where there is no such connection the kernel answers with a *listener* on the same end: the ends are compared.
    """
    family = socket.AF_INET if len(own[0]) == 4 else socket.AF_INET6
    answer = netlink.ask(pack_request(family, own, peer, _loopback_index()))
    row = parse_answer(answer[0]) if answer else None
    if row is None or (row.local, row.remote) != (own, peer):
        raise FileNotFoundError(_NOT_HELD)
    return row.state, row.uid, row.inode


@functools.cache
def _loopback_index() -> int:
    # A socket bound to a device is found only under that device, an unbound one under any (inet_sk_bound_dev_eq).
    try:
        return socket.if_nametoindex("lo")
    except OSError:
        return 0


def _by_table(own: End, peer: End) -> tuple[int, int, int] | None:
    for name, ends in proc_net.ends_in_table(own, peer):
        found = proc_net.find_connection(proc_net.read_table(name), ends)
        if found is not None:
            return found
    return None


def pack_request(family: int, own: End, peer: End, interface: int) -> bytes:
    """An inet_diag_req_v2 for one TCP socket."""
    return b"".join(
        (
            _REQUEST.pack(family, socket.IPPROTO_TCP, 0, netlink.ALL_STATES),
            _PORTS.pack(own[1], peer[1]),
            own[0].ljust(16, b"\0"),
            peer[0].ljust(16, b"\0"),
            _ID_TAIL.pack(interface, netlink.ANY_COOKIE, netlink.ANY_COOKIE),
        )
    )


def parse_answer(body: bytes) -> Row:
    """One inet_diag_msg; raises OSError when it is cut short."""
    if len(body) < _ANSWER.size:
        raise OSError("an inet_diag message that is cut short")
    family, state, ports, source, target, uid, inode = _ANSWER.unpack_from(body)
    source_port, target_port = _PORTS.unpack(ports)
    own, peer = (_narrow(family, source), source_port), (_narrow(family, target), target_port)
    return Row(family, state, own, peer, uid, inode)


def _narrow(family: int, address: bytes) -> bytes:
    if family == socket.AF_INET:
        return address[:4]
    return address[12:] if address.startswith(_MAPPED) else address


def _end(end: tuple[str, int]) -> End:
    text = end[0].partition("%")[0]  # a link-local address may carry its interface
    try:
        if ":" in text:
            return _narrow(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text)), end[1]
        return socket.inet_pton(socket.AF_INET, text), end[1]
    except (OSError, ValueError) as error:
        raise AttestationError(f"`{end[0]}` is not an IP address") from error


def listeners() -> list[Listener]:
    """Every TCP socket that listens in this network namespace. Raises AttestationError if no table can be read."""
    found = [one for family in (socket.AF_INET, socket.AF_INET6) for one in _listening(family)]
    return sorted(found, key=lambda one: (one.port, one.address))


def _listening(family: socket.AddressFamily) -> list[Listener]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << netlink.TCP_LISTEN).ljust(56, b"\0")
    for _ in range(_DUMP_ATTEMPTS):
        try:
            return [_listener(family, body) for body in netlink.ask(request, dump=True)]
        except InterruptedError:
            continue
        except OSError:
            break
    table = proc_net.read_table("tcp" if family == socket.AF_INET else "tcp6")
    return [Listener(family, address, port, inode, uid) for address, port, uid, inode in proc_net.listening(table)]


def _listener(family: socket.AddressFamily, body: bytes) -> Listener:
    row = parse_answer(body)
    # An IPv6 socket bound to ::ffff:a.b.c.d answers with the mapped address: it is shown as the kernel has it.
    source = _ANSWER.unpack_from(body)[3]
    address = socket.inet_ntop(family, source[:4] if family == socket.AF_INET else source)
    return Listener(family, address, row.local[1], row.inode, row.uid)
