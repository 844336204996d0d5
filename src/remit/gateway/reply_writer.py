"""Replies out: framing by RFC 9112, one write a piece, and no more written than the caller reads."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from remit.errors import RemitError
from remit.gateway.message import Head, Request, head_bytes, status_line

_BODILESS: Final = frozenset({204, 304})
"""Statuses without a body whatever the head says (RFC 9112 section 6.3)."""


class ReplyWriter:
    """Writes replies to `transport`. `begun`: its head went out. `done`: its last byte too."""

    __slots__ = ("_drained", "_transport", "begun", "done")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._drained: asyncio.Future[None] | None = None
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

    async def send(self, request: Request, pieces: AsyncGenerator[Head | bytes, None], *, close: bool) -> None:
        """Sends what `pieces` yields and drives it to its end. Raises `RemitError` if that is not one whole reply."""
        head = await anext(pieces, None)
        if not isinstance(head, Head):
            raise RemitError("the exchange ended without a reply")
        if head.body is not None or (head.length is None and not head.streamed):
            self._write_whole(request, head, close=close)
            async for _ in pieces:
                raise RemitError("a reply that was whole went on")
        else:
            await self._send_pieces(request, head, pieces, close=close)
        if self._drained is not None:
            await self._drained

    def refuse(self, status: int, body: bytes) -> None:
        """A whole reply of our own, after which the connection ends."""
        self._transport.write(refusal_bytes(status, body))
        self.begun = self.done = True

    def _write_whole(self, request: Request, head: Head, *, close: bool) -> None:
        body = head.body or b""
        framing = "" if head.status == 204 else f"content-length: {len(body)}\r\n"
        start = _head(head, framing, close=close)
        self.begun = self.done = True
        self._transport.write(start if _silent(request, head) else start + body)

    async def _send_pieces(
        self, request: Request, head: Head, pieces: AsyncGenerator[Head | bytes, None], *, close: bool
    ) -> None:
        chunked = head.length is None and request.version == "1.1"  # to HTTP/1.0 the close is the end
        silent = _silent(request, head)
        self._transport.write(_head(head, _framing(head, chunked=chunked), close=close))
        self.begun = True
        sent = 0
        async for piece in pieces:
            if isinstance(piece, Head):
                raise RemitError("a reply had two heads")
            sent += len(piece)
            if head.length is not None and sent > head.length:
                raise RemitError("a reply was longer than its head said")
            if piece and not silent:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if self._drained is not None:
                    await self._drained
        if head.length not in {None, sent} and not silent:
            raise RemitError("a reply was shorter than its head said")
        if chunked and not silent:
            self._transport.write(b"0\r\n\r\n")
        self.done = True


def refusal_bytes(status: int, body: bytes) -> bytes:
    """A whole JSON reply that ends the connection."""
    framing = f"content-length: {len(body)}\r\nconnection: close\r\n"
    return head_bytes(status_line(status), (("content-type", "application/json"),), framing) + body


def _head(head: Head, framing: str, *, close: bool) -> bytes:
    return head_bytes(status_line(head.status), head.headers, framing + "connection: close\r\n" if close else framing)


def _framing(head: Head, *, chunked: bool) -> str:
    if head.status in _BODILESS:
        return ""
    if head.length is not None:
        return f"content-length: {head.length}\r\n"
    return "transfer-encoding: chunked\r\n" if chunked else ""


def _silent(request: Request, head: Head) -> bool:
    return request.method == "HEAD" or head.status in _BODILESS
