"""The listening sockets of each guarded workload: control binds them, so that a worker's successor inherits them."""

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.identity import SpiffeId
from remit.identity.unix_socket import ListeningSocket
from remit.inventory import Workload
from remit.policy.link import DoorKind

TRIES: Final = 100  # ports looked at above the first one
TLS_OFFSET: Final = 100
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One listening socket for one workload. `file` is a unix socket's, with its place."""

    workload: SpiffeId
    kind: DoorKind
    url: str
    sock: socket.socket
    file: ListeningSocket | None = None


def open_doors(
    workload: Workload, address: str, first_port: int, run: Path, mode: int = 0o600
) -> tuple[list[Door], dict[str, str]]:
    """Sockets for one workload: loopback TCP, mutual TLS, unix; and the ways to call it, as `status` shows them.

    `mode` is the unix socket's: whoever may connect is asked for by the kernel, not kept out by it.
    A taken port is passed over for the next free one; raises StateError when TRIES in a row are taken,
    or another server has the unix socket's place.
    """
    path = run / f"{workload.name}.sock"
    with contextlib.ExitStack() as opened:  # all, or none
        plain = opened.enter_context(_tcp(address, first_port))
        port = plain.getsockname()[1]
        tls = opened.enter_context(_tcp(address, port + TLS_OFFSET))
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
        Door(workload.spiffe_id, DoorKind.TCP, urls["url"], plain),
        Door(workload.spiffe_id, DoorKind.TLS, urls["mtls_url"], tls),
        Door(workload.spiffe_id, DoorKind.UNIX, str(path), unix.socket, unix),
    ]
    return doors, urls


def close_doors(doors: list[Door]) -> None:
    for door in doors:
        if door.file is not None:
            door.file.remove()
        door.sock.close()


def _tcp(address: str, first: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in range(first, first + TRIES):
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            if error.errno not in {98, 13}:  # EADDRINUSE, EACCES
                raise StateError(f"can't listen on `{address}:{port}`: {error.strerror}") from error
        else:
            return sock
    raise StateError(
        f"no free port from {first} to {first + TRIES - 1} on `{address}`",
        hint="set another `gateway.port` in the configuration",
    )
