"""One caller's connection: one exchange at a time, replies in order; a hang-up ends the exchange at once."""

import asyncio
import select
from typing import Final, Protocol, cast

from remit.errors import ProtocolError, RemitError
from remit.gateway.connection import Connection
from remit.gateway.limits import BACKLOG_BYTES, Limits
from remit.gateway.message import Head, Request
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.request_reader import Phase, RequestReader
from remit.gateway.watch import Watch

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_LINGER_BYTES: Final = 4 * 1024 * 1024
"""Read and dropped after a refusal, so that the caller reads the answer and not a reset (RFC 9112 section 9.6)."""

_HANG_UP: Final = select.POLLHUP | select.POLLERR | select.POLLRDHUP


class App(Protocol):
    """What answers requests. One `exchange` runs at a time on a connection, in the order the requests came."""

    async def exchange(self, request: Request, connection: Connection, reply: ReplyWriter) -> None:
        """Writes one `reply`: its head, then the pieces of its body. Cancelled when the caller hangs up meanwhile.

        A `RemitError` raised before the head is answered by `refused`; raised later it cuts the connection.
        """

    def refused(self, connection: Connection | None, error: RemitError) -> Head:
        """The whole reply to what never became a request; no `connection`: there are too many of them."""
        ...

    async def connected(self, connection: Connection) -> None:
        """Begun when the connection is; no exchange starts before it is done. A `RemitError` refuses the requests."""

    def closed(self, connection: Connection) -> None:
        """Called once, when the connection is gone and no exchange runs on it."""


class ServerProtocol(asyncio.Protocol):
    """Drives `app` for one connection. Its deadlines are kept by `watch`."""

    def __init__(self, app: App, limits: Limits, watch: "Watch[ServerProtocol]") -> None:
        self._app, self._limits, self._watch = app, limits, watch
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(limits)
        self._transport: asyncio.Transport
        self._writer: ReplyWriter
        self._connection: Connection | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._exchange: asyncio.Task[None] | None = None
        self._refusal: ProtocolError | None = None
        self._backlog = b""
        self._reading_paused = self._ending = self._draining = False
        self._end_seconds = limits.stalled_write_seconds
        self._lingered = self._held = self._unsent = 0
        self._phase = Phase.IDLE
        self._mark = self._loop.time()

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writer = ReplyWriter(self._transport)
        full = len(self._watch) >= self._limits.connections and not self._watch.make_room(ServerProtocol.give_way)
        self._watch.add(self)
        if full:
            self._refuse(ProtocolError("too many connections", status=503, hint="try again shortly"))
        else:
            self._connection = Connection(self._transport)
            self._greeting = self._loop.create_task(self._app.connected(self._connection))

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._linger(len(data))
        elif self._exchange is not None:
            self._backlog += data
            if len(self._backlog) > BACKLOG_BYTES and not self._reading_paused:
                self._transport.pause_reading()
                self._reading_paused = True
        else:
            self._feed(data)

    def eof_received(self) -> bool | None:
        if self._exchange is not None and not self._writer.done:
            self._transport.abort()  # a caller that closed its side has hung up: nginx holds the same
        return None

    def pause_writing(self) -> None:
        self._writer.pause()
        self._unsent = self._transport.get_write_buffer_size()
        self._mark = self._loop.time()

    def resume_writing(self) -> None:
        self._writer.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._watch.remove(self)
        running = self._exchange or self._greeting
        if running is not None and not (self._exchange is not None and self._writer.done):
            running.cancel()
        self._writer.resume()
        self._reader.close()
        self._reader.buffered = 0
        self._account()
        self._backlog = b""
        if running is None:
            self._say_closed()
        else:
            running.add_done_callback(self._say_closed)

    # The watch and the listener call these.

    def sweep(self, now: float) -> None:
        """Ends the connection if what it waits for took too long."""
        if self._ending or self._writer.stalled:
            self._sweep_writing(now)
        elif self._exchange is None:
            self._sweep_reading(now - self._mark)
        elif self._reading_paused and _hung_up(self._transport):
            self._transport.abort()  # paused reading hides the end of the stream

    def drain(self) -> None:
        """Ends the connection once no request is under way on it: now, or after the reply."""
        self._draining = True
        if self._exchange is None and self._reader.phase is Phase.IDLE and not self._ending:
            self._end()

    def give_way(self) -> bool:
        """Ends for another connection, unless a request is being answered here; whether it did."""
        if self._exchange is not None or self._ending:
            return False
        self._end()
        return True

    def abort(self) -> None:
        """Cuts the connection, with the exchange on it."""
        self._transport.abort()

    # In: one request at a time

    def _feed(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except ProtocolError as refusal:
            self._refusal = refusal
        if self._reader.phase is not self._phase:
            self._phase = self._reader.phase
            self._mark = self._loop.time()
        if self._reader.buffered != self._held:
            self._account()
        self._advance()

    def _advance(self) -> None:
        if self._reader.ready:
            self._exchange = self._loop.create_task(self._answer(self._reader.ready.popleft()))
        elif self._refusal is not None:
            self._refuse(self._refusal)
        elif self._backlog:
            data, self._backlog = self._backlog, b""
            self._resume_reading()
            self._feed(data)
        elif self._reader.wants_continue:
            self._transport.write(_CONTINUE)

    def _account(self) -> None:
        grown = self._reader.buffered - self._held
        self._held = self._reader.buffered
        self._watch.held += grown
        if grown > 0 and self._watch.held > self._limits.body_bytes_total:
            self._refusal = ProtocolError("too many large bodies at once", status=503, hint="try again shortly")

    def _sweep_reading(self, waited: float) -> None:
        limits = self._limits
        if self._phase is Phase.IDLE:
            if waited > limits.idle_seconds:
                self._end()
        elif self._phase is Phase.HEAD:
            if waited > limits.header_seconds:
                self._refuse(ProtocolError("the headers did not come in time", status=408))
        elif self._reader.body_bytes < (waited - limits.body_grace_seconds) * limits.body_bytes_per_second:
            self._refuse(ProtocolError("the body comes too slowly", status=408))

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    # Out: the application's exchange

    async def _answer(self, request: Request) -> None:
        try:
            if self._greeting is not None:
                await self._greeting
                self._greeting = None
            assert self._connection is not None  # noqa: S101 (set with the greeting)
            self._writer.open(request, close=self._draining or not request.keep_alive)
            await self._app.exchange(request, self._connection, self._writer)
            await self._writer.finish()
        except RemitError as error:
            self._refuse(error)
        finally:
            self._finish(request)

    def _finish(self, request: Request) -> None:
        self._exchange = None
        if self._ending:
            return
        if not self._writer.done:  # no RemitError: it goes on to the loop's exception handler
            self._refuse(RemitError("an internal error"))
        elif self._draining or not request.keep_alive:
            self._end(linger=bool(self._backlog))
        else:
            self._mark = self._loop.time()
            self._watch.used(self)
            self._writer.begun = self._writer.done = False
            self._reader.release(request)
            self._account()
            self._advance()

    def _refuse(self, error: RemitError) -> None:
        """Answers `error` if nothing of the reply is out yet, and ends the connection either way."""
        if self._transport.is_closing():
            return
        if self._writer.begun:
            self._end() if self._writer.done else self._transport.abort()
            return
        self._writer.refuse(self._app.refused(self._connection, error))
        self._end(linger=True)

    # The end

    def _end(self, *, linger: bool = False) -> None:
        self._ending = True
        self._mark = self._loop.time()
        if linger and self._transport.can_write_eof():
            self._end_seconds = self._limits.linger_seconds
            self._resume_reading()
            self._transport.write_eof()
        else:
            self._transport.close()

    def _linger(self, size: int) -> None:
        self._lingered += size
        if self._lingered > _LINGER_BYTES:
            self._transport.abort()

    def _sweep_writing(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._mark = now
        self._unsent = unsent
        patience = self._end_seconds if self._ending else self._limits.stalled_write_seconds
        if now - self._mark > patience:
            self._transport.abort()

    def _say_closed(self, ended: asyncio.Task[None] | None = None) -> None:
        if ended is not None and ended is self._greeting and not ended.cancelled():
            ended.exception()  # nobody is left to be told
        if self._connection is not None:
            self._app.closed(self._connection)


def _hung_up(transport: asyncio.Transport) -> bool:
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), _HANG_UP)
    return bool(poll.poll(0))
