"""The way out: the only code of the data path that opens a connection, and it does so in one function, `connect`."""

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from remit.errors import UpstreamError
from remit.gateway.message import Headers, head_bytes
from remit.gateway.reply_reader import ReplyHead
from remit.gateway.upstream_address import UpstreamAddress, parse_address
from remit.gateway.upstream_connection import Take, Timeouts, UpstreamConnection
from remit.gateway.watch import Watch

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Sent a second time when a kept connection turns out to be dead: they ask for no change (RFC 9110 section 9.2.1)."""

_STALE_SECONDS: Final = 4.0
"""uvicorn and llama.cpp's server close a kept connection after 5 s: it isn't used for that long."""

_DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Connections to one address: kept idle, for how many seconds, and open at once."""

    idle: int = 64
    idle_seconds: float = _STALE_SECONDS
    open: int = 2048
    sweep_seconds: float = 1.0


class Upstream:
    """Requests to guarded servers, over kept connections. One for each event loop; `aclose` it at the end."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._watches: dict[str, Watch[UpstreamConnection]] = {}
        self._idle: dict[str, deque[UpstreamConnection]] = {}

    def send(
        self,
        address: str,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
    ) -> "Reply":
        """One request, as a context manager: `async with upstream.send(…) as reply`, then `async for piece in reply`.

        `target` goes out as it is; of `headers` only end-to-end ones, and never `host`. Redirects are not followed.
        Leaving the context before the reply's end cuts the connection, so that the server stops working on it.
        Raises `UpstreamError`: 502 unreachable or broken off, 503 too many at once, 504 silent for too long.
        """
        where = parse_address(address)
        framing = f"host: {where.host}\r\n"
        if body or method not in _SAFE_METHODS:
            framing += f"content-length: {len(body)}\r\n"
        head = head_bytes(f"{method} {target} HTTP/1.1\r\n", headers, framing, drop="host")
        return Reply(self, where, method, head, body, timeouts)

    async def fetch(
        self,
        address: str,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 (a probe's whole budget, kept here for all of its steps)
        max_bytes: int = 1024 * 1024,
    ) -> tuple[int, Headers, bytes]:
        """Status, headers and whole body of a short reply, all within `timeout` seconds and `max_bytes`."""
        try:
            async with asyncio.timeout(timeout), self.send(address, method, target, headers, body) as reply:
                return reply.head.status, reply.head.headers, await reply.read(max_bytes)
        except TimeoutError:
            raise UpstreamError(f"`{address}` did not answer within {timeout:g} s", status=504) from None

    async def aclose(self) -> None:
        """Cuts every connection, used or idle, and waits until they are gone."""
        self._idle.clear()
        for watch in self._watches.values():
            for connection in watch.all:
                connection.abort()
            await watch.emptied()

    async def take(self, address: UpstreamAddress, timeouts: Timeouts, *, fresh: bool = False) -> UpstreamConnection:
        """A connection for one request: the one used last, if the server still holds it, or a new one."""
        idle = self._idle.get(address.text)
        now = asyncio.get_running_loop().time()
        while idle and not fresh:
            connection = idle.pop()
            if now - connection.idle_since < self._limits.idle_seconds and not connection.stale(now):
                connection.reused = True
                return connection
            connection.abort()
        watch = self._watches.setdefault(address.text, Watch(self._limits.sweep_seconds))
        if len(watch) >= self._limits.open:
            raise UpstreamError(
                "too many requests to this model server at once", status=503, hint="try again shortly"
            )
        return await connect(address, watch, timeouts.connect)

    def give(self, connection: UpstreamConnection) -> None:
        """Keeps `connection` for the next request, or cuts it if it isn't fit for one."""
        idle = self._idle.setdefault(connection.address.text, deque())
        connection.idle_since = asyncio.get_running_loop().time()
        if not connection.reusable or len(idle) >= self._limits.idle:
            connection.abort()
            return
        idle.append(connection)
        while connection.idle_since - idle[0].idle_since > self._limits.idle_seconds:
            idle.popleft().abort()


class Reply:
    """A reply under way: `head`, then its body by `async for` (each piece as it came) or `read`."""

    __slots__ = ("_address", "_body", "_connection", "_method", "_request", "_timeouts", "_upstream", "head")

    def __init__(
        self,
        upstream: Upstream,
        address: UpstreamAddress,
        method: str,
        request: bytes,
        body: bytes,
        timeouts: Timeouts,
    ) -> None:
        self._upstream, self._address, self._timeouts = upstream, address, timeouts
        self._method, self._request, self._body = method, request, body
        self._connection: UpstreamConnection
        self.head: ReplyHead

    async def __aenter__(self) -> Self:
        connection = await self._upstream.take(self._address, self._timeouts)
        try:
            self.head = await self._begin(connection)
        except UpstreamError:
            if not connection.reused or connection.answered or self._method not in _SAFE_METHODS:
                raise
            self.head = await self._begin(await self._upstream.take(self._address, self._timeouts, fresh=True))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._upstream.give(self._connection)  # an unfinished reply isn't fit to be followed: that cuts it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def pour(self, take: Take) -> None:
        """Gives each piece to `take` as it comes; what that returns is waited for before the next."""
        await self._connection.pour(take)

    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises `UpstreamError` if it is longer than `max_bytes`."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self._connection.piece():
            size += len(piece)
            if size > max_bytes:
                raise UpstreamError(f"the model server's answer is longer than {max_bytes} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _begin(self, connection: UpstreamConnection) -> ReplyHead:
        self._connection = connection
        try:
            return await connection.begin(self._method, self._request, self._body, self._timeouts)
        except BaseException:
            connection.abort()
            raise


async def connect(
    address: UpstreamAddress,
    watch: Watch[UpstreamConnection],
    timeout: float,  # noqa: ASYNC109 (connect only)
) -> UpstreamConnection:
    """Opens a connection to `address` within `timeout` seconds. Raises `UpstreamError` (502, 504)."""
    loop = asyncio.get_running_loop()

    def protocol() -> UpstreamConnection:
        return UpstreamConnection(address, watch)

    try:
        async with asyncio.timeout(timeout):
            if address.path:
                return (await loop.create_unix_connection(protocol, address.path))[1]
            return (await loop.create_connection(protocol, address.ip, address.port))[1]
    except TimeoutError:
        raise UpstreamError(f"`{address.text}` did not accept a connection in time", status=504) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UpstreamError(
            f"no connection to `{address.text}`: {reason}", hint="is the model server running? `remit status` tells"
        ) from None
