"""The load: raw kept-alive connections in a closed loop, one process, on its own core; bounded in time or count."""

import asyncio
import json
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import httptools

from bench.peers import Peer
from bench.upstream import PIECES, TEXT

PIECE: Final = re.compile(rb'"content": ?"[^"]')
ANSWER_SECONDS: Final = 30.0
PROMPT: Final = TEXT * 4


@dataclass(frozen=True, slots=True)
class Rate:
    """What one closed loop saw: requests/s, µs of the proxy's CPU a request, latencies in µs."""

    per_second: float
    cpu_us: float
    p50_us: float
    p99_us: float


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def request(port: int, prompt: str = PROMPT, *, stream: bool = False, close: bool = False) -> bytes:
    """A chat completion as OpenAI's client sends it, in raw bytes."""
    asked = {"model": "m", "messages": [{"role": "user", "content": prompt}], "max_tokens": 64}
    body = json.dumps({**asked, "stream": True} if stream else asked).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nAccept: application/json\r\nUser-Agent: bench/1\r\n"
        f"Authorization: Bearer local\r\nConnection: {'close' if close else 'keep-alive'}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def streaming(port: int, number: int, pieces: int, every_us: int, phase: str) -> bytes:
    return request(port, f"{TEXT}stream {number} pieces {pieces} every {every_us} phase {phase}", stream=True)


class Client(asyncio.Protocol):
    """One connection. `replied` is called with it after each whole reply; `piece` with each piece of a body."""

    def __init__(self, replied: Callable[["Client"], None], piece: Callable[[bytes], None] | None = None) -> None:
        self._replied = replied
        self.sent = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if piece is not None:
            self.on_body = piece  # before the parser is made: it looks its callbacks up once
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, data: bytes) -> None:
        self.sent = time.perf_counter_ns()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self.end(RuntimeError(f"status {status}"))
        else:
            self._parser = httptools.HttpResponseParser(self)
            self._replied(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.end(error or ConnectionResetError("the server closed the connection"))

    def end(self, error: Exception | None = None) -> None:
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)


async def connect(
    port: int, replied: Callable[[Client], None], piece: Callable[[bytes], None] | None = None
) -> Client:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(lambda: Client(replied, piece), "127.0.0.1", port))[1]


async def closed_loop(peer: Peer, connections: int, seconds: float, warm: float = 0.3) -> Rate:
    """As many requests as `connections` kept-alive connections get answered in `seconds`, after `warm` seconds."""
    took: list[float] = []
    data = request(peer.port)

    def again(client: Client) -> None:
        took.append((time.perf_counter_ns() - client.sent) / 1000)
        client.ask(data)

    clients = [await connect(peer.port, again) for _ in range(connections)]
    for client in clients:
        client.ask(data)
    await while_well(clients, warm)
    took.clear()
    cpu, began = peer.cpu_seconds(), time.perf_counter()
    await while_well(clients, seconds)
    elapsed, used, seen = time.perf_counter() - began, peer.cpu_seconds() - cpu, list(took)
    drop(clients)
    return _rate(seen, elapsed, used)


async def counted(peer: Peer, connections: int, count: int) -> None:
    """`count` requests over `connections` kept-alive connections."""
    left, data = count, request(peer.port)

    def again(client: Client) -> None:
        nonlocal left
        left -= 1
        if left >= connections:
            client.ask(data)
        else:
            client.end()

    clients = [await connect(peer.port, again) for _ in range(connections)]
    left = max(left, connections)
    for client in clients:
        client.ask(data)
    await asyncio.wait_for(asyncio.gather(*(client.ended for client in clients)), ANSWER_SECONDS + count / 100)
    drop(clients)


async def new_connections(peer: Peer, loops: int, seconds: float) -> Rate:
    """Connect, ask once, close; over and over in `loops` tasks."""
    took: list[float] = []
    data = request(peer.port, close=True)
    cpu, began = peer.cpu_seconds(), time.perf_counter()

    async def over_and_over() -> None:
        while time.perf_counter() - began < seconds:
            begun = time.perf_counter_ns()
            client = await connect(peer.port, Client.end)
            client.ask(data)
            await asyncio.wait_for(client.ended, ANSWER_SECONDS)
            took.append((time.perf_counter_ns() - begun) / 1000)
            client.transport.close()

    await asyncio.gather(*(over_and_over() for _ in range(loops)))
    elapsed = time.perf_counter() - began
    return _rate(took, elapsed, peer.cpu_seconds() - cpu)


async def first_pieces(peer: Peer, count: int) -> list[float]:
    """Milliseconds from request to first piece with text, one stream after another on one kept-alive connection."""
    took: list[float] = []
    data = streaming(peer.port, 0, 4, 1000, "now")
    client: Client
    waiting = True

    def piece(body: bytes) -> None:
        nonlocal waiting
        if waiting and PIECE.search(body):
            took.append((time.perf_counter_ns() - client.sent) / 1e6)
            waiting = False

    def again(client: Client) -> None:
        nonlocal waiting
        waiting = True
        if len(took) < count:
            client.ask(data)
        else:
            client.end()

    client = await connect(peer.port, again, piece)
    client.ask(data)
    await asyncio.wait_for(client.ended, ANSWER_SECONDS + count / 10)
    client.transport.abort()
    return took[count // 20 :]


@dataclass(frozen=True, slots=True)
class Flow:
    """Many streams at once: ms on the way for each piece, µs of the proxy's CPU a piece, pieces/s delivered."""

    p50_ms: float
    p99_ms: float
    cpu_us: float
    per_second: float


class Reading:
    """One stream's pieces as they arrive, each held against its time of sending."""

    def __init__(self, number: int, stamps: memoryview, took: list[float]) -> None:
        self._base, self._stamps, self._took, self.seen = number * PIECES, stamps, took, 0

    def piece(self, body: bytes) -> None:
        now = time.monotonic_ns()
        for _ in PIECE.findall(body):
            self._took.append((now - self._stamps[self._base + self.seen % PIECES]) / 1e6)
            self.seen += 1


async def flow(peer: Peer, stamps: memoryview, streams: int, every_us: int, seconds: float, *, spread: bool) -> Flow:
    """`streams` streams of a piece each `every_us`; spread evenly over that time, or all in step."""
    pieces, took = min(PIECES, int((seconds + 4) * 1e6 / every_us)), list[float]()
    readings = [Reading(number, stamps, took) for number in range(streams)]
    clients = [await connect(peer.port, Client.end, reading.piece) for reading in readings]
    for number, client in enumerate(clients):
        phase = number * every_us // streams if spread else 0
        client.ask(streaming(peer.port, number, pieces, every_us, str(phase)))
    await _all_begun(readings)
    took.clear()
    cpu, began = peer.cpu_seconds(), time.perf_counter()
    await while_well(clients, seconds)
    elapsed, used, seen = time.perf_counter() - began, peer.cpu_seconds() - cpu, list(took)
    drop(clients)
    return Flow(statistics.median(seen), percentile(seen, 0.99), used / len(seen) * 1e6, len(seen) / elapsed)


async def open_streams(peer: Peer, stamps: memoryview, streams: int, every_us: int) -> list[Client]:
    """`streams` streams that stay open: returns when each has brought a piece. Close them with `drop`."""
    readings = [Reading(number, stamps, []) for number in range(streams)]
    clients = []
    for number, reading in enumerate(readings):
        clients.append(await connect(peer.port, Client.end, reading.piece))
        clients[-1].ask(streaming(peer.port, number, PIECES, every_us, str(number * every_us // streams)))
    await _all_begun(readings)
    return clients


async def _all_begun(readings: list[Reading]) -> None:
    deadline = time.perf_counter() + ANSWER_SECONDS
    while any(reading.seen < 1 for reading in readings):
        if time.perf_counter() > deadline:
            raise TimeoutError("some streams never began")
        await asyncio.sleep(0.05)


async def while_well(clients: list[Client], seconds: float) -> None:
    """Let them run for `seconds`; a connection that ends in an error ends the measurement."""
    done, _ = await asyncio.wait([client.ended for client in clients], timeout=seconds, return_when="FIRST_EXCEPTION")
    for ended in done:
        ended.result()


def drop(clients: list[Client]) -> None:
    for client in clients:
        client.end()
        client.transport.abort()


def _rate(took: list[float], elapsed: float, cpu: float) -> Rate:
    if not took:
        raise TimeoutError(f"no reply in {elapsed:.1f} s")
    return Rate(len(took) / elapsed, cpu / len(took) * 1e6, statistics.median(took), percentile(took, 0.99))
