"""A gRPC server on one unix socket: the only file that knows grpclib's inner parts."""

import asyncio
import socket
import weakref
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream

from remit.errors import AttestationError
from remit.identity.gathered import gathered
from remit.identity.peer import PeerCredentials
from remit.identity.quota import Quota, Room
from remit.identity.spiffe_proto import message_type

MAX_REQUEST_BYTES: Final = 65_536  # a token of 8 KiB and 16 audiences of 1 KiB fit
REQUEST_SECONDS: Final = 10.0  # for a message's head, and for the rest
CALLS: Final = (1_024, 4_096)  # open at once, of one process and of one uid; SPIFFE clients have two or three
CONNECTIONS: Final = (512, 2_048)  # a descriptor each
HELD_BYTES: Final = 64 << 20
WINDOW_BYTES: Final = 1 << 20  # of HTTP/2: what nobody has read yet, however large a request may be
_CALM: Final = 0xB  # RFC 9113, 7: ENHANCE_YOUR_CALM; to gRPC a resource that is exhausted

Call = Callable[["Request"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """One call: who made it, with what metadata and message, and where its answers go."""

    peer: PeerCredentials
    message: Any
    send: Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service: `stream` when it may send any number of answers. `types` finds message classes."""

    name: str
    request: str
    reply: str
    stream: bool
    call: Call
    types: Callable[[str], Any] = message_type


class UnixServer(Server):
    """Serves `methods` of `service`; each caller must send the metadata `required` (name, value), if any is.

    `calls` and `connections` are how many one process and one uid may have open at once; `request_bytes` the longest
    request. Those longer than MAX_REQUEST_BYTES are taken of callers that `may_send_long`, and no more at once than
    `held_bytes`. `gone` hears of each caller whose connection ended.
    """

    def __init__(
        self,
        service: str,
        methods: tuple[Method, ...],
        required: tuple[str, str] | None,
        *,
        calls: tuple[int, int] = CALLS,
        connections: tuple[int, int] = CONNECTIONS,
        request_bytes: int = MAX_REQUEST_BYTES,
        held_bytes: int = HELD_BYTES,
        may_send_long: Callable[[PeerCredentials], Awaitable[bool]] | None = None,
        gone: Callable[[PeerCredentials], None] | None = None,
    ) -> None:
        self._required, self._request_bytes, self._room = required, request_bytes, Room(held_bytes)
        self._gone, self._may_send_long = gone, may_send_long
        self._connections: weakref.WeakSet[H2Protocol] = weakref.WeakSet()
        self._calls, self._callers = Quota(*calls), Quota(*connections)
        self._methods = {f"/{service}/{method.name}": self._handler(method) for method in methods}
        # Windows as large as one request, if it is no larger: HTTP/2 holds no more of what nobody has read yet.
        window = min(request_bytes, WINDOW_BYTES)
        limits = Configuration(http2_connection_window_size=window, http2_stream_window_size=window)
        super().__init__([self], config=limits)

    def __mapping__(self) -> dict[str, Handler]:
        return self._methods

    async def listen(self, sock: socket.socket) -> None:
        """Accept on a socket that is already bound: grpclib itself would bind by path, open to all for a moment."""
        self._server = await self._loop.create_unix_server(self._protocol_factory, sock=sock)
        self._server_closed_fut = self._loop.create_future()

    async def stop(self) -> None:
        """End every call and connection, and wait for them. (`Server.wait_closed` waits for callers to hang up.)"""
        self.close()
        for connection in tuple(self._connections):
            connection.processor.close("the server stops")
        await asyncio.gather(*(handler.wait_closed() for handler in self._handlers))

    def _protocol_factory(self) -> H2Protocol:
        protocol = _Counted(super()._protocol_factory(), self._callers, self._gone)
        self._connections.add(protocol)
        return protocol

    def _handler(self, method: Method) -> Handler:
        async def answer(stream: Stream[Any, Any]) -> None:
            peer = _peer(stream)
            if not self._calls.take(peer):
                raise GRPCError(Status.RESOURCE_EXHAUSTED, f"too many open calls: at most {self._calls.process}")
            try:
                self._check_metadata(stream)
                await self._receive(stream, method, peer)
            finally:
                self._calls.give_back(peer)

        cardinality = Cardinality.UNARY_STREAM if method.stream else Cardinality.UNARY_UNARY
        return Handler(answer, cardinality, method.types(method.request), method.types(method.reply))

    async def _receive(self, stream: Stream[Any, Any], method: Method, peer: PeerCredentials) -> None:
        """Take the one message of a request, and have it answered."""
        length = await _length(stream, self._request_bytes)
        if length <= MAX_REQUEST_BYTES:
            await self._answer(stream, method, peer, length)
            return
        if self._may_send_long is None or not await self._may_send_long(peer):
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "the request is too long")
        if not self._room.take(length):
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "too many long requests at once")
        try:
            await self._answer(stream, method, peer, length)
        finally:
            self._room.give_back(length)

    async def _answer(self, stream: Stream[Any, Any], method: Method, peer: PeerCredentials, length: int) -> None:
        message = await _message(stream, method.types(method.request), length)
        await method.call(Request(peer, message, stream.send_message))

    def _check_metadata(self, stream: Stream[Any, Any]) -> None:
        if self._required is None:
            return
        name, value = self._required
        if stream.metadata is None or stream.metadata.getall(name, []) != [value]:
            raise GRPCError(Status.INVALID_ARGUMENT, f"security header missing: send `{name}: {value}`")


class _Counted(H2Protocol):
    """A connection that counts for its caller; one too many is told so and closed.

    `peer` is who made it, held by a handle until it ends: every call on it is that process's, as it is then.
    """

    def __init__(self, plain: H2Protocol, callers: Quota, gone: Callable[[PeerCredentials], None] | None) -> None:
        super().__init__(plain.handler, plain.config, plain.h2_config)
        self._callers, self._gone = callers, gone
        self.peer: PeerCredentials | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        transport = gathered(transport)
        super().connection_made(transport)
        try:
            peer = PeerCredentials.of(transport.get_extra_info("socket"))
        except AttestationError as error:
            self._turn_away(transport, str(error))
            return
        except (OSError, AttributeError):  # gone already
            transport.close()
            return
        if self._callers.take(peer):
            self.peer = peer
            return
        peer.close()
        self._turn_away(transport, "too many connections")

    def _turn_away(self, transport: BaseTransport, why: str) -> None:
        self.connection._connection.close_connection(_CALM, why.encode())  # grpclib has no public way
        self.connection.flush()
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.peer is not None:
            self._callers.give_back(self.peer)
            if self._gone is not None:
                self._gone(self.peer)
            self.peer.close()
            self.peer = None


def _peer(stream: Stream[Any, Any]) -> PeerCredentials:
    connection = stream.peer._transport.get_protocol()  # grpclib has no public way
    peer: PeerCredentials | None = getattr(connection, "peer", None)
    if peer is None:  # the caller is gone, and its connection with it
        raise GRPCError(Status.PERMISSION_DENIED, "the caller is not known")
    return peer


async def _length(stream: Stream[Any, Any], most: int) -> int:
    """How long the message of a unary request is. grpclib's own `recv_message` would take up to 4 GiB into memory."""
    head = await _data(stream, 5)  # gRPC over HTTP/2: 1 byte compressed flag, 4 bytes length
    compressed, length = head[0], int.from_bytes(head[1:], "big")
    if compressed or length > most:
        raise GRPCError(Status.RESOURCE_EXHAUSTED, "the request is compressed or too long")
    return length


async def _message(stream: Stream[Any, Any], kind: Any, length: int) -> Any:
    try:
        return kind.FromString(await _data(stream, length))
    except DecodeError:
        raise _no_message() from None


async def _data(stream: Stream[Any, Any], length: int) -> bytes:
    """Exactly so many bytes."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            data: bytes = await stream._stream.recv_data(length)
    except TimeoutError:
        raise GRPCError(Status.DEADLINE_EXCEEDED, "the request did not arrive in time") from None
    except AssertionError:  # grpclib's Buffer, for one cut short
        raise _no_message() from None
    if len(data) != length:
        raise _no_message()
    return data


def _no_message() -> GRPCError:
    return GRPCError(Status.INVALID_ARGUMENT, "the request is not a message of this method")
