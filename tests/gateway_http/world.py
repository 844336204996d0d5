"""Real sockets for dialogues in raw bytes: a served app, a caller, a scripted model server."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from remit.errors import ProtocolError, RemitError, UpstreamError
from remit.gateway.connection import Connection
from remit.gateway.http1 import Listener, serve
from remit.gateway.limits import Limits
from remit.gateway.message import Head, Request
from remit.gateway.reply_writer import ReplyWriter

# A script yields what the app is to write: a head, then the pieces of the body.
Exchange = Callable[[Request, Connection], AsyncGenerator[Head | bytes, None]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def run(dialogue: Coroutine[Any, Any, None]) -> None:
    """Runs a dialogue on the event loop that serves in production; none takes 20 s."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await dialogue

    uvloop.run(bounded())


async def echo(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
    """Says what was asked."""
    yield Head(
        200, (("content-type", "text/plain"),), body=f"{request.method} {request.path}".encode() + request.body
    )


@dataclass
class FakeApp:
    """Answers by `script`, and remembers which connections came and went and what was asked."""

    script: Exchange = echo
    refuse: RemitError | None = None
    came: list[Connection] = field(default_factory=list)
    went: list[Connection] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    async def exchange(self, request: Request, connection: Connection, reply: ReplyWriter) -> None:
        self.asked.append(request)
        async with contextlib.aclosing(self.script(request, connection)) as parts:
            async for part in parts:
                if isinstance(part, Head):
                    reply.head(part)
                else:
                    await reply.piece(part)

    def refused(self, connection: Connection | None, error: RemitError) -> Head:
        status = error.status if isinstance(error, ProtocolError | UpstreamError) else 500
        return Head(
            status,
            (("content-type", "application/json"),),
            body=json.dumps({"error": {"message": str(error)}}).encode(),
        )

    async def connected(self, connection: Connection) -> None:
        self.came.append(connection)
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse

    def closed(self, connection: Connection) -> None:
        self.went.append(connection)


QUICK = Limits(
    header_seconds=0.15,
    body_grace_seconds=0.15,
    idle_seconds=0.15,
    stalled_write_seconds=0.15,
    linger_seconds=0.15,
    sweep_seconds=0.03,
)
"""Deadlines a test can wait for."""

_ROOMY = Limits(sweep_seconds=0.05, linger_seconds=0.3)


@contextlib.asynccontextmanager
async def serving(
    app: FakeApp, limits: Limits = _ROOMY, path: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Listener, Any]]:
    """`app` served on loopback, or on a unix socket at `path`: the listener and where to connect."""
    if path is None:
        sock = socket.create_server(("127.0.0.1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
    listener = await serve(sock, app, limits, tls)
    try:
        yield listener, sock.getsockname()
    finally:
        listener.abort()
        await listener.wait_closed()
        await until(lambda: len(app.went) == len(app.came))


class Caller:
    """Speaks raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear_all(self) -> bytes:
        """Everything until the other side closes; a reset ends it too."""
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while data := await self.reader.read(65536):
                heard += data
        return heard

    async def hear(self, end: bytes) -> bytes:
        return await self.reader.readuntil(end)


async def call(where: Any, tls: ssl.SSLContext | None = None) -> Caller:
    """A caller connected to `where` (a path or a host and port)."""
    if isinstance(where, str):
        return Caller(*await asyncio.open_unix_connection(where))
    name = "localhost" if tls is not None else None
    return Caller(*await asyncio.open_connection(where[0], where[1], ssl=tls, server_hostname=name))


async def ask(where: Any, data: bytes) -> bytes:
    """Says `data`, hears everything until the close."""
    async with await call(where) as caller:
        caller.say(data)
        return await caller.hear_all()


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    """Waits until `true()`."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def model_server(script: Script, path: Path | None = None) -> AsyncIterator[str]:
    """A server that runs `script` for each connection: its address."""

    async def run_script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    if path is None:
        server = await asyncio.start_server(run_script, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(run_script, path)
        address = f"unix:{path}"
    try:
        yield address
    finally:
        server.close()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, await reader.readexactly(length)
