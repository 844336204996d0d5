"""Replies out: framing by RFC 9112, one write a piece, and no more written than the caller reads."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from remit.errors import RemitError
from remit.gateway.message import Head, Request, head_bytes, status_line

_BODILESS: Final = frozenset({204, 304})
"""Statuses without a body whatever the head says (RFC 9112 section 6.3)."""


class ReplyWriter:
    """Writes replies to `transport`, one at a time: `open` each, then its `head`, its `piece`s, and `finish`.

    `begun`: its head went out. `done`: its last byte too.
    """

    __slots__ = (
        "_chunked",
        "_close",
        "_drained",
        "_head",
        "_request",
        "_sent",
        "_silent",
        "_transport",
        "begun",
        "done",
    )

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._drained: asyncio.Future[None] | None = None
        self._request: Request
        self._head: Head
        self._close = self._chunked = self._silent = False
        self._sent = 0
        self.begun = self.done = False

    @property
    def stalled(self) -> bool:
        """The caller doesn't read as fast as the reply comes."""
        return self._drained is not None

    def pause(self) -> None:
        """The transport's buffer is full: the next write waits."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """The transport's buffer has emptied, or its end has come."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def open(self, request: Request, *, close: bool) -> None:
        """The next reply answers `request`; `close`: it is the last."""
        self._request, self._close = request, close
        self._sent = 0
        self.begun = self.done = False

    def head(self, head: Head) -> None:
        """Sends the head of the reply, or the whole reply in one write if it has its body. Raises `RemitError`."""
        if self.begun:
            raise RemitError("a reply had two heads")
        self._silent = self._request.method == "HEAD" or head.status in _BODILESS
        if head.body is not None or (head.length is None and not head.streamed):
            self._whole(head, head.body or b"")
            return
        self._head = head
        self._chunked = head.length is None and self._request.version == "1.1"  # to HTTP/1.0 the close is the end
        start = self._start(head, _framing(head, chunked=self._chunked))
        self.begun = True
        self._transport.write(start)

    async def piece(self, piece: bytes) -> None:
        """Sends a piece of the body, and waits until the caller has room for more. Raises `RemitError`."""
        room = self.write(piece)
        if room is not None:
            await room

    def write(self, piece: bytes) -> Awaitable[None] | None:
        """Sends a piece of the body; what it returns is to be waited for before the next. Raises `RemitError`."""
        if self.done or not self.begun:
            raise RemitError(
                "a reply that was whole went on" if self.done else "the body of a reply without its head"
            )
        self._sent += len(piece)
        if self._head.length is not None and self._sent > self._head.length:
            raise RemitError("a reply was longer than its head said")
        if piece and not self._silent:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
        return self._drained

    async def finish(self) -> None:
        """Ends the reply and waits until the caller has it. Raises `RemitError` if it isn't a whole one."""
        if not self.begun:
            raise RemitError("the exchange ended without a reply")
        if not self.done:
            if not self._silent:
                if self._head.length not in {None, self._sent}:
                    raise RemitError("a reply was shorter than its head said")
                if self._chunked:
                    self._transport.write(b"0\r\n\r\n")
            self.done = True
        if self._drained is not None:
            await self._drained

    def refuse(self, head: Head) -> None:
        """A whole reply to what is no request, after which the connection ends."""
        body = head.body or b""
        framing = f"content-length: {len(body)}\r\nconnection: close\r\n"
        self._transport.write(head_bytes(status_line(head.status), head.headers, framing) + body)
        self.begun = self.done = True

    def _whole(self, head: Head, body: bytes) -> None:
        start = self._start(head, "" if head.status == 204 else f"content-length: {len(body)}\r\n")
        self.begun = self.done = True
        self._transport.write(start if self._silent else start + body)

    def _start(self, head: Head, framing: str) -> bytes:
        framing = framing + "connection: close\r\n" if self._close else framing
        return head_bytes(status_line(head.status), head.headers, framing)


def _framing(head: Head, *, chunked: bool) -> str:
    if head.status in _BODILESS:
        return ""
    if head.length is not None:
        return f"content-length: {head.length}\r\n"
    return "transfer-encoding: chunked\r\n" if chunked else ""
