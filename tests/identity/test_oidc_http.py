"""What a provider's answer may be, and how long it may take."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remit.errors import IdentityError
from remit.identity import oidc_http
from tests.interop.server_certificate import write_server_certificate


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that does `answer` to its one connection, after reading the request's first bytes."""

    def serve() -> None:
        connected, _ = listening.accept()
        with connected:
            connected.recv(65536)
            answer(connected)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/document?a=b"
        finally:
            thread.join(20)


def reply(content: bytes, status: str = "200 OK", more: str = "") -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\n{more}\r\n".encode()
    return lambda connected: connected.sendall(head + content)


def refusal(answer: Callable[[socket.socket], None]) -> str:
    with answering(answer) as url, pytest.raises(IdentityError) as caught:
        oidc_http.get(url)
    return str(caught.value)


def test_a_document_is_fetched() -> None:
    with answering(reply(b"{}")) as url:
        assert oidc_http.get(url) == b"{}"


def test_a_redirect_is_not_followed() -> None:
    assert "status 302" in refusal(reply(b"", "302 Found", "location: http://127.0.0.1:1/\r\n"))


def test_an_answer_has_a_size() -> None:
    def endless(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for _ in range(64):
                connected.sendall(b"a" * 65536)
        except OSError:
            return

    assert f"more than {oidc_http.MAX_REPLY_BYTES} bytes" in refusal(endless)


def test_half_an_answer_is_none() -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"
    assert "broke off" in refusal(lambda connected: connected.sendall(half))
    assert "can't be reached" in refusal(lambda connected: connected.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"))


def test_an_answer_that_drips_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read is in time; the whole is not."""
    monkeypatch.setattr(oidc_http, "SECONDS", 0.4)

    def drip(connected: socket.socket) -> None:
        try:
            connected.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n")
            for _ in range(100):
                time.sleep(0.05)
                connected.sendall(b" ")
        except OSError:
            return
        raise AssertionError("it was let drip for 5 s")

    assert re.search("broke off|Connection reset", refusal(drip))


def test_nobody_there_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(IdentityError, match="Connection refused"):
        oidc_http.get(f"http://127.0.0.1:{port}/")


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    write_server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    def shake(listening: socket.socket) -> None:
        connected, _ = listening.accept()
        with connected, pytest.raises(ssl.SSLError):
            context.wrap_socket(connected, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=shake, args=(listening,))
        thread.start()
        with pytest.raises(IdentityError, match="its certificate is not trusted here"):
            oidc_http.get(f"https://localhost:{listening.getsockname()[1]}/")
        thread.join(10)


def test_what_came_back_is_not_shown() -> None:
    assert repr(oidc_http.Reply(200, b"secret")) == "Reply(200, 6 bytes)"
