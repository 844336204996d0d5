"""HTTP to an OpenID provider: one request, no redirects, bounded in size and time. It blocks its thread."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from remit.errors import IdentityError
from remit.identity.oidc_provider import check_url

MAX_REPLY_BYTES: Final = 1 << 18  # a large provider's key set is 20 KiB, its discovery document 5
SECONDS: Final = 10.0  # for all of a request, and for finding the host
_HINT: Final = "check that the provider is up and can be reached from here, then try again"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whole. `body` may hold tokens."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


def get(url: str) -> bytes:
    """The document at `url`; raises IdentityError when there is none."""
    reply = send("GET", url, {"accept": "application/json"})
    if reply.status != 200:
        raise IdentityError(f"`{url}` answered with status {reply.status}", hint=_HINT)
    return reply.body


def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
    """Send one request; raises IdentityError when no whole answer came within `SECONDS`.

    Proxies are not asked: an environment that anyone could have set doesn't decide where keys come from.
    """
    parts = check_url(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    connection = http.client.HTTPConnection(host, parts.port or (443 if tls else 80))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connected(host, connection.port, tls=tls) as connection.sock:
            connection.request(method, target, body, {"user-agent": "remit", "connection": "close", **headers})
            with connection.getresponse() as reply:
                content = reply.read(MAX_REPLY_BYTES + 1)
                missing = reply.length or 0
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise IdentityError(f"`{url}` can't be reached: {_why(error)}", hint=_HINT) from error
    if len(content) > MAX_REPLY_BYTES:
        raise IdentityError(f"`{url}` answered with more than {MAX_REPLY_BYTES} bytes")
    if missing:
        raise IdentityError(f"`{url}` broke off its answer", hint=_HINT)
    return Reply(reply.status, content)


@contextmanager
def _connected(host: str, port: int, *, tls: bool) -> Iterator[socket.socket]:
    """A connection that is cut after `SECONDS`: a socket's own time-out is for each read, and lets an answer drip."""
    raw = socket.create_connection((host, port), SECONDS)
    context = ssl.create_default_context()
    connected = context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False) if tls else raw
    with connected:
        timer = threading.Timer(SECONDS, _cut, (connected,))
        timer.daemon = True
        timer.start()
        try:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            yield connected
        finally:
            timer.cancel()


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):  # it may have ended by itself just now
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # below TLS, whose state the reader holds


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted here ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
