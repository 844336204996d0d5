"""Bytes from a guarded server in, one strict HTTP/1.1 reply out: head first, then the body as it comes."""

from dataclasses import dataclass
from typing import Final, NoReturn

import httptools

from remit.errors import UpstreamError
from remit.gateway.message import Headers, header

REPLY_HEADER_BYTES: Final = 64 * 1024
"""Twice what callers may send; a hostile server must not fill memory through its head."""

REPLY_HEADER_COUNT: Final = 200
INTERIM_REPLIES: Final = 8
"""100 and 103 replies passed over before the real one."""


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """Status and headers (names in lower case) of a reply."""

    status: int
    headers: Headers

    def header(self, name: str) -> str | None:
        """The value of `name` (lower case), None if absent. Raises `ProtocolError` if it stands twice."""
        return header(self.headers, name)


class ReplyReader:
    """Reads replies of one connection, one at a time: `expect` each. After `UpstreamError` it takes nothing more."""

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._failure: UpstreamError | None = None
        self.complete = True
        self.expect("GET")
        self.complete = True

    def expect(self, method: str) -> None:
        """A request with `method` was sent: the next reply answers it."""
        self._silent = method == "HEAD"
        self._interim = 0
        self.head: ReplyHead | None = None
        self.pieces: list[bytes] = []
        self.complete = self._bodiless = False
        self.reusable = self._until_close = False
        self._head_fed = 0
        self._start()

    def feed(self, data: bytes) -> None:
        """Takes `data`; then see `head`, `pieces`, `complete`. Raises `UpstreamError` for what isn't acceptable."""
        if self._parser is None or self._over():
            self._drop("it sent bytes that nobody asked for")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._drop(self._failure or f"its answer is not HTTP/1.1: {str(error).lower()}")
        if self.head is None:
            self._head_fed += len(data)
            if self._head_fed > 2 * REPLY_HEADER_BYTES:
                self._drop("its headers don't end")

    def end(self) -> None:
        """The connection ended. Raises `UpstreamError` unless that is how the reply ends."""
        if self._until_close and not self.complete:
            self.complete = True
        if not self.complete:
            self._drop("it closed the connection " + ("in the middle of its answer" if self.head else "unanswered"))

    def close(self) -> None:
        """Lets go of the parser: it and this reader hold each other."""
        self._parser = None

    # llhttp calls these; an exception in one stops it.

    def on_message_begin(self) -> None:
        if self.complete:
            self._fail("it sent a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            return  # trailers are dropped: nothing downstream reads them
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > REPLY_HEADER_BYTES or len(self._headers) >= REPLY_HEADER_COUNT:
            self._fail("its headers are too large")
        lower = _NAMES.get(name)
        self._headers.append((lower or _lower(name), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            return
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            if self._interim > INTERIM_REPLIES:
                self._fail("it sends only interim answers")
            return
        if not 200 <= status <= 599:
            self._fail(f"it answered with status {status}")
        version = parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            self._fail(f"it answered with HTTP/{version}")
        self._read_framing(status, version)
        self.head = ReplyHead(status, tuple(self._headers))
        self._bodiless = self._silent or status in {204, 304}
        if self._silent:
            self.complete = True
            self.reusable = False  # llhttp can't be told that no body follows

    def on_body(self, piece: bytes) -> None:
        if not self._bodiless:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        if self.head is None:
            self._start()
        else:
            self.complete = True

    def _over(self) -> bool:
        return self.complete

    def _start(self) -> None:
        self._headers: list[tuple[str, str]] = []
        self._head_bytes = 0

    def _read_framing(self, status: int, version: str) -> None:
        lengths = codings = 0
        keep = version == "1.1"
        for name, value in self._headers:
            if name == "content-length":
                lengths += 1
            elif name == "transfer-encoding":
                codings += 1
                if value.lower() != "chunked" or version == "1.0":
                    self._fail("its `Transfer-Encoding` is not exactly `chunked`")
            elif name == "connection" and value.lower() != "keep-alive":
                keep = False
        if lengths + codings > 1:
            self._fail("it frames its body in two ways")
        self._until_close = lengths + codings == 0 and status not in {204, 304}
        self.reusable = keep and not self._until_close

    def _fail(self, what: str) -> NoReturn:
        self._failure = UpstreamError(_said(what))
        raise self._failure

    def _drop(self, what: "str | UpstreamError") -> NoReturn:
        self._parser = None
        self.reusable = False
        raise (UpstreamError(_said(what)) if isinstance(what, str) else what) from None


_NAMES: dict[bytes, str] = {}
"""Header names seen, lower-cased; bounded, since servers choose them."""


def _lower(name: bytes) -> str:
    lower = name.decode("ascii").lower()
    if len(_NAMES) < 512:
        _NAMES[name] = lower
    return lower


def _said(what: str) -> str:
    return f"the model server can't be relied on: {what}"
