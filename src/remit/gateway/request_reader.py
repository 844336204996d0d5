"""Bytes from a caller in, strict HTTP/1.1 requests out: llhttp, and refusals where it is lenient (RFC 9112)."""

import re
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, NoReturn

import httptools

from remit.errors import ProtocolError
from remit.gateway.limits import CHUNK_OVERHEAD, PIPELINED, Limits
from remit.gateway.message import Request
from remit.gateway.target import parse_target

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HOST = re.compile(r"(?:[A-Za-z0-9._~\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
_NAMES: dict[bytes, str] = {}
"""Header names seen, lower-cased; bounded, since callers choose them."""


class Phase(Enum):
    """Where in a message the reader is."""

    IDLE = "between messages"
    HEAD = "in the head"
    BODY = "in the body"


class RequestReader:
    """Feed it what was read; whole requests wait in `ready`. After a `ProtocolError` it takes nothing more."""

    def __init__(self, limits: Limits) -> None:
        self.ready: deque[Request] = deque()
        self.phase = Phase.IDLE
        self.buffered = 0
        """Body bytes held for requests that were not released yet."""
        self.closing = False
        """The last request in `ready` asked for the connection to be closed: nothing after it is read."""
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._refusal: ProtocolError | None = None
        self._raw_bytes = 0
        self.on_message_begin()
        self.phase = Phase.IDLE

    @property
    def wants_continue(self) -> bool:
        """The caller waits for `100 Continue` before it sends the body."""
        return self._expects and self.phase is Phase.BODY and not self._body_bytes

    @property
    def body_bytes(self) -> int:
        """Bytes of the unfinished body so far."""
        return self._body_bytes

    def feed(self, data: bytes) -> None:
        """Takes `data`. Raises `ProtocolError` for what isn't acceptable; requests before that stay in `ready`."""
        if self._parser is None or self.closing:
            raise ProtocolError("bytes follow the last request of this connection")
        phase = self.phase
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(self._refusal or _malformed(error))
        self._budget(phase, len(data))

    def release(self, request: Request) -> None:
        """The body of `request` isn't held any longer."""
        self.buffered -= len(request.body)

    def close(self) -> None:
        """Lets go of the parser: it and this reader hold each other."""
        self._parser = None
        self.ready.clear()
        self._body.clear()

    # llhttp calls these; an exception in one stops it.

    def on_message_begin(self) -> None:
        self.phase = Phase.HEAD
        self._target = b""
        self._raw: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._chunked = self._expects = False

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > self._limits.target_bytes:
            self._refuse(f"the request target is longer than {self._limits.target_bytes} bytes", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is Phase.BODY:
            self._refuse("trailers are not taken")
        self._raw.append((name, value))  # looked at once the head is whole; until then `_budget` bounds it

    def on_headers_complete(self) -> None:
        self.phase = Phase.BODY
        if self._parser is None:
            return
        self._version = self._parser.get_http_version()
        if self._version not in {"1.1", "1.0"}:
            self._refuse(f"HTTP/{self._version} is not spoken here", 505, hint="speak HTTP/1.1")
        if len(self.ready) >= PIPELINED:
            self._refuse(f"more than {PIPELINED} requests were sent ahead of their answers")
        self._method = self._parser.get_method().decode("ascii")
        if self._method not in METHODS:
            self._refuse(f"the method `{self._method}` is not served", 501)
        self._keep_alive = self._version == "1.1"
        self._read_headers()
        self._read_target()

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)
        self._body_bytes += len(piece)
        self.buffered += len(piece)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse_body()

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self.closing = not self._keep_alive
        self.phase = Phase.IDLE
        self.ready.append(
            Request(
                method=self._method,
                path=self._path.path,
                query=self._path.query,
                target=self._path.canonical,
                raw_target=self._target.decode("ascii"),
                headers=self._headers,
                body=body,
                keep_alive=self._keep_alive,
                version=self._version,
            )
        )

    # What llhttp lets through is refused from here on.

    def _read_target(self) -> None:
        try:
            self._path = parse_target(self._target)
        except ProtocolError as error:
            self._refusal = error
            raise

    def _read_headers(self) -> None:
        self._hosts = self._lengths = 0
        self._codings: list[str] = []
        self._refuse_large_head()
        headers = []
        for raw, value in self._raw:
            name = _NAMES.get(raw) or _lower(raw)
            text = value.decode("latin-1").strip(" \t")
            headers.append((name, text))
            read = _FRAMING.get(name)
            if read is not None:
                read(self, text)
        self._headers = tuple(headers)
        if self._hosts > 1 or (self._hosts == 0 and self._version == "1.1"):
            self._refuse("exactly one `Host` header is needed", hint="send `Host: localhost`")
        if self._codings:
            self._take_codings()

    def _refuse_large_head(self) -> None:
        if len(self._raw) > self._limits.header_count:
            self._refuse(f"there are more than {self._limits.header_count} headers", 431)
        if sum([len(name) + len(value) + 4 for name, value in self._raw]) > self._limits.header_bytes:
            self._refuse(f"the headers are longer than {self._limits.header_bytes} bytes", 431)

    def _read_host(self, value: str) -> None:
        self._hosts += 1
        if not _HOST.match(value):
            self._refuse("the `Host` header is malformed")

    def _read_length(self, value: str) -> None:
        self._lengths += 1
        if self._lengths > 1 or not value.isascii() or not value.isdigit():
            self._refuse("the `Content-Length` header is not one number")
        if int(value[:20]) > self._limits.body_bytes:
            self._refuse_body()

    def _read_coding(self, value: str) -> None:
        self._codings.append(value.lower())

    def _take_codings(self) -> None:
        if self._version == "1.0":
            self._refuse("HTTP/1.0 has no `Transfer-Encoding`")
        if self._codings != ["chunked"]:
            self._refuse("the `Transfer-Encoding` is not exactly `chunked`", 501)
        if self._lengths:
            self._refuse("both `Content-Length` and `Transfer-Encoding` are given")
        self._chunked = True
        self._raw_bytes = 0

    def _read_connection(self, value: str) -> None:
        options = {option.strip() for option in value.lower().split(",")}
        if "close" in options:
            self._keep_alive = False
        if "upgrade" in options:
            self._read_upgrade(value)

    def _read_upgrade(self, _: str) -> None:
        self._refuse("protocols can't be switched here", 501, hint="speak HTTP/1.1 and send no `Upgrade` header")

    def _read_expect(self, value: str) -> None:
        if value.lower() != "100-continue":
            self._refuse("this expectation can't be met", 417)
        self._expects = self._version == "1.1"

    def _budget(self, before: Phase, size: int) -> None:
        """Bytes that no callback was told of: a head that never ends, chunk framing that carries nothing."""
        if self.phase is Phase.HEAD and before is Phase.HEAD:
            self._raw_bytes += size
            if self._raw_bytes > 2 * self._limits.header_bytes + self._limits.target_bytes:
                self._fail(
                    ProtocolError(f"the headers are longer than {self._limits.header_bytes} bytes", status=431)
                )
        elif self.phase is Phase.BODY and self._chunked and before is Phase.BODY:
            self._raw_bytes += size
            if self._raw_bytes > CHUNK_OVERHEAD * (self._body_bytes + 1024):
                self._fail(ProtocolError("the chunks carry next to nothing"))
        elif self.phase is not before:
            self._raw_bytes = 0

    def _refuse_body(self) -> None:
        self._refuse(f"the body is longer than {self._limits.body_bytes} bytes", 413)

    def _refuse(self, message: str, status: int = 400, *, hint: str = "") -> NoReturn:
        self._refusal = ProtocolError(message, status=status, hint=hint)
        raise self._refusal

    def _fail(self, refusal: ProtocolError) -> NoReturn:
        self._parser = None
        raise refusal from None


def _malformed(error: httptools.HttpParserError) -> ProtocolError:
    reason = str(error)
    if "HTTP version" in reason or "PRI" in reason:
        return ProtocolError("this version of HTTP is not spoken here", status=505, hint="speak HTTP/1.1")
    return ProtocolError(f"the request is not acceptable HTTP/1.1: {reason[:1].lower()}{reason[1:]}")


def _lower(name: bytes) -> str:
    lower = name.decode("ascii").lower()
    if len(_NAMES) < 512:
        _NAMES[name] = lower
    return lower


_FRAMING: Final[dict[str, Callable[[RequestReader, str], None]]] = {
    "connection": RequestReader._read_connection,
    "content-length": RequestReader._read_length,
    "expect": RequestReader._read_expect,
    "host": RequestReader._read_host,
    "transfer-encoding": RequestReader._read_coding,
    "upgrade": RequestReader._read_upgrade,
}
