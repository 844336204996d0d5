"""A Probe for tests, and small servers to be asked: each answers exactly what a test tells it to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from remit.inventory import Answer
from remit.inventory.probe import MAX_REPLY_BYTES


class TestProbe:
    """Asks only the addresses a test owns: whatever else listens on this machine is not ours to disturb."""

    __test__ = False

    def __init__(self, *own: str) -> None:
        self.own = set(own)
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, address: str, target: str) -> Answer | None:
        if address not in self.own:
            return None
        self.asked.append((address, target))
        if address.startswith("unix:"):
            reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        else:
            host, _, port = address.removeprefix("http://").rpartition(":")
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            return await _answer(reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return None
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = int(headers.get("content-length", MAX_REPLY_BYTES + 1))
    body = b""
    while len(body) < min(length, MAX_REPLY_BYTES + 1) and (piece := await reader.read(1 << 16)):
        body += piece
    return Answer(int(head[0].split()[1]), headers, body)


class FakeServer:
    """Answers each target with the Answer in `answers` (else 404), on every address it is told to listen at."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            answer = self.answers.get(target, Answer(404, {}, b"{}"))
            head = [f"HTTP/1.1 {answer.status} x", f"content-length: {len(answer.body)}"]
            head += [f"{name}: {value}" for name, value in answer.headers.items()]
            writer.write("\r\n".join([*head, "", ""]).encode() + answer.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self, *hosts: str, port: int = 0) -> AsyncIterator[int]:
        """On TCP at `hosts`, all with one port, which is yielded."""
        async with AsyncExitStack() as stack:
            for host in hosts:
                server = await asyncio.start_server(self.serve, host, port)
                await stack.enter_async_context(server)
                port = server.sockets[0].getsockname()[1]
            yield port

    @asynccontextmanager
    async def listening_unix(self, path: Path) -> AsyncIterator[str]:
        async with await asyncio.start_unix_server(self.serve, path):
            yield f"unix:{path}"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
