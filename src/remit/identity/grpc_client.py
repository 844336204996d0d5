"""gRPC calls over one unix socket, each answer held to a size: as the client what `grpc_server` is as the server."""

import contextlib
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.client import Channel, Stream
from grpclib.const import Cardinality
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from h2.exceptions import ProtocolError as Http2Error

from remit.errors import StateError
from remit.identity.spiffe_proto import message_type

MAX_REPLY_BYTES: Final = 4 << 20  # as other gRPC clients take unless told; 64 authorities are under 1 MiB
_SHOWN: Final = 200  # characters of what the other side says of an error

# What grpclib raises for a server that breaks off (the first two), that breaks the rules of HTTP/2 or gRPC, or that
# is something else altogether: KeyError for missing headers, AssertionError for a message that is cut short.
_BROKEN: Final = (StreamTerminatedError, OSError, ProtocolError, Http2Error, struct.error, DecodeError)
_FOREIGN: Final = (KeyError, ValueError, AssertionError)


class NoAnswerError(StateError):
    """Nobody serves at the socket, or what serves there broke off or is no such server."""


class NotPermittedError(StateError):
    """What serves at the socket says that this process may not have what it asked for."""


class UnixClient:
    """Calls methods of `service` at the socket `path`, with `metadata` (name, value). It connects when it must."""

    def __init__(self, path: Path, service: str, metadata: tuple[str, str]) -> None:
        self._path, self._service, self._metadata = path, service, dict([metadata])
        self._channel = Channel(path=str(path))

    def close(self) -> None:
        """End the connection and every stream on it."""
        self._channel.close()

    async def call(self, method: str, request: Any, reply: str) -> Any:
        """The one answer; raises as `stream` does. Without a limit of time: that is the caller's."""
        async with contextlib.aclosing(self._answers(method, request, reply, Cardinality.UNARY_UNARY)) as answers:
            async for message in answers:
                return message
        raise NoAnswerError(f"`{self._path}` gave no answer to `{method}`")

    def stream(self, method: str, request: Any, reply: str) -> AsyncGenerator[Any, None]:
        """The answers as they come, until the server ends the stream; raises NoAnswerError or NotPermittedError."""
        return self._answers(method, request, reply, Cardinality.UNARY_STREAM)

    async def _answers(
        self, method: str, request: Any, reply: str, cardinality: Cardinality
    ) -> AsyncGenerator[Any, None]:
        kind = message_type(reply)
        opened: Stream[Any, Any] = self._channel.request(
            f"/{self._service}/{method}", cardinality, type(request), kind, metadata=self._metadata
        )
        try:
            async with opened as stream:
                await stream.send_message(request, end=True)
                await stream.recv_initial_metadata()
                while (message := await self._receive(stream, kind)) is not None:
                    yield message
        except GRPCError as error:
            raise self._refused(error) from error
        except _BROKEN as error:
            raise self._broken(error) from error
        except _FOREIGN as error:
            raise NoAnswerError(f"what answers at `{self._path}` does not speak gRPC") from error

    async def _receive(self, stream: Stream[Any, Any], kind: Any) -> Any:
        """The next message, or None at the end. grpclib's own `recv_message` would take up to 4 GiB into memory."""
        with stream._wrapper:  # it is this that ends the wait when the connection is lost
            head = await stream._stream.recv_data(5)  # gRPC over HTTP/2: 1 byte compressed flag, 4 bytes length
            if not head:
                return None
            compressed, length = struct.unpack(">BI", head)
            if compressed or length > MAX_REPLY_BYTES:
                raise NoAnswerError(f"`{self._path}` sent an answer that is compressed or too long ({length} bytes)")
            return kind.FromString(await stream._stream.recv_data(length))

    def _refused(self, error: GRPCError) -> StateError:
        status, said = Status(error.status).name, repr(error.message or "")[1:-1][:_SHOWN]
        if error.status is Status.PERMISSION_DENIED:
            return NotPermittedError(f"`{self._path}` refuses: {said}")
        return NoAnswerError(f"`{self._path}` answers {status}: {said}")

    def _broken(self, error: Exception) -> NoAnswerError:
        if isinstance(error, FileNotFoundError):
            return NoAnswerError(f"there is no socket at `{self._path}`")
        if isinstance(error, ConnectionRefusedError):
            return NoAnswerError(f"nobody listens at `{self._path}`")
        if isinstance(error, OSError) and error.strerror:
            return NoAnswerError(f"`{self._path}` can't be used: {error.strerror}")
        return NoAnswerError(f"the connection to `{self._path}` broke")
