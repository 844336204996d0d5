"""One connection to a guarded server: a request out, its reply in as it arrives, deadlines, backpressure."""

import asyncio
import select
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, cast

from remit.errors import UpstreamError
from remit.gateway.reply_reader import ReplyHead, ReplyReader
from remit.gateway.upstream_address import UpstreamAddress
from remit.gateway.watch import Watch

BUFFERED_BYTES: Final = 256 * 1024
"""Body bytes held for a slow reader before reading from the server pauses; one read of uvloop is as large."""

_PROBE_AFTER_SECONDS: Final = 0.2
"""Idle for longer, a connection is asked for its end before it is used again."""


Room = Awaitable[None] | None
"""What is to be waited for before more is given: room at the other side."""

Take = Callable[[bytes], Room]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Generous: a large model on a CPU may take minutes over a long prompt, also after its head is out."""

    connect: float = 5.0
    first_byte: float = 600.0
    idle: float = 300.0


class UpstreamConnection(asyncio.Protocol):
    """Carries one request at a time: `begin`, then `piece` until it is empty. Cut it to make the server stop."""

    def __init__(self, address: UpstreamAddress, watch: "Watch[UpstreamConnection]") -> None:
        self.address = address
        self.reused = False
        self.answered = False
        """A byte of the reply came in."""
        self.idle_since = 0.0
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[Room] | None = None
        self._take: Take | None = None
        self._failure: UpstreamError | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._reading_paused = False
        self._deadline: float | None = None
        self._idle_seconds = 0.0

    @property
    def head(self) -> ReplyHead | None:
        """The reply's head, once it came."""
        return self._reader.head

    @property
    def reusable(self) -> bool:
        """The reply came whole, all of it was read, and another request may follow on this connection."""
        return (
            self._reader.complete
            and self._reader.reusable
            and not self._pieces
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )

    def stale(self, now: float) -> bool:
        """The server has closed it, or sent something unasked, since the last reply."""
        if self._transport.is_closing():
            return True
        if now - self.idle_since < _PROBE_AFTER_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    async def begin(self, method: str, request: bytes, body: bytes, timeouts: Timeouts) -> ReplyHead:
        """Sends the request and returns the reply's head as soon as it is there. Raises `UpstreamError`."""
        self._reader.expect(method)
        self.answered = False
        if len(body) > BUFFERED_BYTES:
            self._transport.write(request)
            self._transport.write(body)
        else:
            self._transport.write(request + body)
        self._idle_seconds = timeouts.idle
        while self._reader.head is None:
            await self._wait(timeouts.first_byte)
        if self._failure is not None:
            raise self._failure
        return self._reader.head

    async def piece(self) -> bytes:
        """What came since the last call, or the next to come; empty at the end. Raises `UpstreamError` if cut off."""
        while not self._pieces:
            if self._reader.complete and self._failure is None:
                return b""
            await self._wait(self._idle_seconds)
        pieces, self._pieces = self._pieces, []
        self._buffered = 0
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        return _joined(pieces)

    async def pour(self, take: Take) -> None:
        """Gives each piece to `take` to the reply's end, in the turn of the loop in which it came.

        What `take` returns is waited for before the next piece. Raises `UpstreamError`, and what `take` raises.
        """
        while piece := await self.piece():
            room = take(piece)
            if room is None and not self._pieces and not self._reader.complete:
                self._take = take
                try:
                    room = await self._wait(self._idle_seconds)
                finally:
                    self._take = None
            if room is not None:
                await room

    def abort(self) -> None:
        """Cuts the connection now."""
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Ends the wait for a server that stays silent too long."""
        if self._deadline is not None and now > self._deadline:
            self._fail(UpstreamError("the model server did not answer in time", status=504))
            self._transport.abort()

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._watch.add(self)

    def data_received(self, data: bytes) -> None:
        self.answered = True
        reader = self._reader
        try:
            reader.feed(data)
        except UpstreamError as error:
            self._fail(error)
            self._transport.abort()
            return
        if reader.pieces:
            pieces, reader.pieces = reader.pieces, []
            if self._take is not None:
                self._pour(self._take, _joined(pieces))
            else:
                self._pieces += pieces
                self._hold(len(data))
        if self._pieces or reader.complete or (reader.head is not None and self._take is None):
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.remove(self)
        try:
            self._reader.end()
        except UpstreamError as error:
            self._fail(error)
        self._reader.close()
        self._wake()

    def _pour(self, take: Take, piece: bytes) -> None:
        """Gives `piece` away without waking the task that waits in `pour`, unless it has to wait for room."""
        self._deadline = self._loop.time() + self._idle_seconds
        try:
            room = take(piece)
        except Exception as error:  # noqa: BLE001 (the loop called: what it is, the task in `pour` is told)
            self._take = None
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(error)
            return
        if room is not None:
            self._take = None
            self._wake(room)

    def _hold(self, size: int) -> None:
        self._buffered += size
        if self._buffered > BUFFERED_BYTES and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    async def _wait(self, seconds: float) -> Room:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        self._deadline = self._loop.time() + seconds
        try:
            return await self._waiter
        finally:
            self._waiter = self._deadline = None

    def _wake(self, room: Room = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(room)

    def _fail(self, error: UpstreamError) -> None:
        self._failure = self._failure or error
        self._wake()


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
