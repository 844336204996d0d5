"""Servers to connect to: what they accept is what is attested."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from remit.identity.attestation import Attested, attest_tcp, attest_unix


class Server:
    """A listening socket that accepts one caller at a time and attests it."""

    def __init__(self, listener: socket.socket, open_things: ExitStack) -> None:
        self.listener = listener
        self.address = listener.getsockname()
        self._open = open_things
        self._open.callback(listener.close)
        self.listener.settimeout(20)

    def connect(self) -> socket.socket:
        """A client in this very process."""
        client = socket.socket(self.listener.family, socket.SOCK_STREAM)
        self._open.callback(client.close)
        client.connect(self.address)
        return client

    def accept(self) -> socket.socket:
        accepted, _ = self.listener.accept()
        self._open.callback(accepted.close)
        return accepted

    def attest(self, accepted: socket.socket | None = None) -> Attested:
        accepted = accepted or self.accept()
        if accepted.family == socket.AF_UNIX:
            caller = attest_unix(accepted)
        else:
            caller = attest_tcp(accepted.getpeername()[:2], accepted.getsockname()[:2])
        self._open.callback(caller.close)
        return caller


@pytest.fixture
def open_things() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(open_things: ExitStack) -> Server:
    return Server(socket.create_server(("127.0.0.1", 0), backlog=128), open_things)


@pytest.fixture
def unix_server(open_things: ExitStack, tmp_path: Path) -> Server:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "s"))
    (tmp_path / "s").chmod(0o777)
    listener.listen(128)
    return Server(listener, open_things)
