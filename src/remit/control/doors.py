"""The listening sockets of each guarded workload: control binds them, so that a worker's successor inherits them."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.inventory import Workload

TRIES: Final = 100  # ports looked at above the first one
TLS_OFFSET: Final = 100
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One listening socket for one workload: `kind` is `tcp`, `tls` or `unix`."""

    workload: str
    kind: str
    url: str
    sock: socket.socket

    def fileno(self) -> int:
        return self.sock.fileno()


def open_doors(workload: Workload, address: str, first_port: int, run: Path) -> tuple[list[Door], dict[str, str]]:
    """Sockets for one workload: loopback TCP, mutual TLS, unix; and the ways to call it, as `status` shows them.

    A taken port is passed over for the next free one; raises StateError when TRIES in a row are taken.
    """
    name, spiffe_id = workload.name, str(workload.spiffe_id)
    plain = _tcp(address, first_port)
    port = plain.getsockname()[1]
    tls = _tcp(address, port + TLS_OFFSET)
    host = f"[{address}]" if ":" in address else address
    path = run / f"{name}.sock"
    urls = {
        "url": f"http://{host}:{port}",
        "base_url": f"http://{host}:{port}/v1",
        "mtls_url": f"https://{host}:{tls.getsockname()[1]}",
        "unix": str(path),
    }
    doors = [
        Door(spiffe_id, "tcp", urls["url"], plain),
        Door(spiffe_id, "tls", urls["mtls_url"], tls),
        Door(spiffe_id, "unix", str(path), _unix(path)),
    ]
    return doors, urls


def close_doors(doors: list[Door]) -> None:
    for door in doors:
        door.sock.close()
        if door.kind == "unix":
            Path(door.url).unlink(missing_ok=True)


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


def _unix(path: Path) -> socket.socket:
    """A unix socket for callers of this uid; control made the directory and holds the instance's lock."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
    except OSError as error:
        raise StateError(f"can't listen on `{path}`: {error.strerror}") from error
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock
