"""Waits on a port of 127.0.0.1 until the person's browser comes back from the provider (RFC 8252, section 7.3)."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qsl

ADDRESS: Final = "127.0.0.1"
PATH: Final = "/remit"
MAX_REQUEST: Final = 1 << 14  # bytes of a request's head: a code is up to 2 KiB, a browser's headers up to 8
MAX_PARAMETERS: Final = 16
MAX_OPEN: Final = 32  # connections at once: a browser opens some ahead
REQUEST_SECONDS: Final = 5.0

_PAGE: Final = (
    "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n"
    "cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n"
    "connection: close\r\n\r\n{}"
)
_BACK: Final = ("200 OK", "Remit has the provider's answer: go on in the terminal. This page can be closed.\n")
_STRAY: Final = ("404 Not Found", "Remit waits for a login here, and this is not it.\n")


class LoginAnswer:
    """The one answer to a login: the first request with its `state`. Others are turned away and change nothing."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._found: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._taken = False
        self._open = 0
        self._host = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listens; gives the redirect URI."""
        server = await asyncio.start_server(self._serve, ADDRESS, 0, limit=MAX_REQUEST)
        self._host = f"{ADDRESS}:{server.sockets[0].getsockname()[1]}"
        try:
            yield f"http://{self._host}{PATH}"
        finally:
            server.close()

    async def wait(self, seconds: float) -> Mapping[str, str]:
        """The answer's parameters; raises TimeoutError."""
        return await asyncio.wait_for(self._found, seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_OPEN:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._converse(reader, writer)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a stray one: nothing is owed to it
        finally:
            self._open -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        parameters = None if self._taken else answer_in(head, self._host, self._state)
        self._taken = self._taken or parameters is not None
        status, said = _STRAY if parameters is None else _BACK
        try:
            writer.write(_PAGE.format(status, len(said), said).encode())
            await writer.drain()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            if parameters is not None:  # once the page is out, as the command may end at once
                self._found.set_result(parameters)


def answer_in(head: bytes, host: str, state: str) -> Mapping[str, str] | None:
    """The parameters that a request's `head` brings back, or None when it is not this login's answer."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[0] != "GET" or not parts[2].startswith("HTTP/1."):
        return None
    path, _, query = parts[1].partition("?")
    hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
    if path != PATH or hosts != [host]:  # another host: a name that somebody lets point here
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):  # RFC 6749 3.1: never twice
        return None
    same = hmac.compare_digest(parameters.get("state", "").encode(), state.encode())
    return parameters if same else None
