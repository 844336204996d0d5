"""The listening sockets of each guarded workload: control binds them, so that a worker's successor inherits them."""

import contextlib
import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.identity import SpiffeId
from remit.identity.unix_socket import ListeningSocket
from remit.inventory import Workload
from remit.policy.link import DoorKind, Skin

TRIES: Final = 100  # ports looked at above the first one, and as often any that is free
_ANY: Final = 0  # ip(7): the kernel chooses
TLS_OFFSET: Final = 100
BACKLOG: Final = 1024
INFERENCE: Final = "inference"
DECISIONS: Final = "decisions"
_OTHER: Final = {"127.0.0.1": "::1", "::1": "127.0.0.1"}  # `localhost` is both, and clients try both


@dataclass(frozen=True, slots=True)
class Door:
    """One listening socket for one workload, served by the worker of `zone`.

    `file` is a unix socket's, with its place.
    `other_half` is the same port of `localhost`'s other address: bound, so that nobody else answers there.
    """

    workload: SpiffeId
    kind: DoorKind
    url: str
    sock: socket.socket
    file: ListeningSocket | None = None
    other_half: socket.socket | None = None
    zone: str = INFERENCE
    skin: Skin = Skin.SERVER


def open_doors(
    workload: Workload, address: str, first_port: int, run: Path, mode: int = 0o600
) -> tuple[list[Door], dict[str, str]]:
    """Sockets for one workload: loopback TCP, mutual TLS, unix; and the ways to call it, as `status` shows them.

    `mode` is the unix socket's: whoever may connect is asked for by the kernel, not kept out by it.
    A taken port is passed over for the next free one, and after TRIES in a row for any that is free: nobody keeps
    Remit from starting by holding them. StateError: another server has the unix socket's place, or no port is free.
    """
    path = run / f"{workload.name}.sock"
    with contextlib.ExitStack() as opened:  # all, or none
        plain, plain_half = _tcp(address, first_port, opened)
        port = plain.getsockname()[1]
        tls, tls_half = _tcp(address, port + TLS_OFFSET, opened)
        unix = ListeningSocket.bind(path, mode, backlog=BACKLOG)
        opened.pop_all()
    host = f"[{address}]" if ":" in address else address
    urls = {
        "url": f"http://{host}:{port}",
        "base_url": f"http://{host}:{port}/v1",
        "mtls_url": f"https://{host}:{tls.getsockname()[1]}",
        "unix": str(path),
    }
    doors = [
        Door(workload.spiffe_id, DoorKind.TCP, urls["url"], plain, other_half=plain_half),
        Door(workload.spiffe_id, DoorKind.TLS, urls["mtls_url"], tls, other_half=tls_half),
        Door(workload.spiffe_id, DoorKind.UNIX, str(path), unix.socket, unix),
    ]
    return doors, urls


def close_doors(doors: list[Door]) -> None:
    for door in doors:
        if door.file is not None:
            door.file.remove()
        if door.other_half is not None:
            door.other_half.close()
        door.sock.close()


def bound(address: str, port: int) -> socket.socket:
    """A socket that listens exactly there; raises StateError when it can't."""
    try:
        return _listening(address, port)
    except OSError as error:
        raise StateError(f"can't listen on `{address}:{port}`: {error.strerror}") from error


def _tcp(address: str, first: int, opened: contextlib.ExitStack) -> tuple[socket.socket, socket.socket | None]:
    for port in (*range(first, first + TRIES), *[_ANY] * TRIES):
        try:
            with contextlib.ExitStack() as both:
                sock = both.enter_context(_listening(address, port))
                half = _held(_OTHER.get(address, ""), sock.getsockname()[1])
                both.pop_all()
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise StateError(f"can't listen on `{address}:{port}`: {error.strerror}") from error
        else:
            return opened.enter_context(sock), opened.enter_context(half) if half is not None else None
    raise StateError(f"no port is free on `{address}`", hint="`ss -tlnp` as root shows who holds them")


def _listening(address: str, port: int) -> socket.socket:
    sock = socket.socket(_family(address))
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _held(address: str, port: int) -> socket.socket | None:
    """Bound and not listening: who calls there is refused at once, and goes on to the other address.

    Without SO_REUSEADDR: two sockets that have it can be bound to one port while neither listens.
    """
    try:
        sock = socket.socket(_family(address)) if address else None
    except OSError:  # no such family on this machine
        return None
    if sock is None:
        return None
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return sock


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
