"""What the HTTP of the data path costs by itself: CPU µs a proxied request, requests/s on one core. Prints Markdown.

    python bench/http_path.py [--seconds 3] [--connections 64]

A pass-through application on one core, a tiny model server and the load on another; nginx beside it where installed.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import cast

import uvloop

from remit.errors import RemitError
from remit.gateway.connection import Connection
from remit.gateway.http1 import serve
from remit.gateway.limits import Limits
from remit.gateway.message import Head, Request
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.upstream import Upstream

ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 16}).encode()
SAID = json.dumps({"id": "c", "choices": [{"message": {"role": "assistant", "content": "y" * 600}}]}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:1\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: bench/1.0 (Linux)\r\n"
    b"Authorization: Bearer sk-bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ASKED)
) + ASKED
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(SAID) + SAID
ROUNDS = 3


class PassThrough:
    """Sends each request on and its reply back, whole."""

    def __init__(self, upstream: Upstream, address: str) -> None:
        self.upstream, self.address = upstream, address

    async def exchange(self, request: Request, _: Connection, out: ReplyWriter) -> None:
        async with self.upstream.send(
            self.address, request.method, request.target, request.headers, request.body
        ) as reply:
            out.head(Head(reply.head.status, reply.head.headers, body=await reply.read(1 << 20)))

    def refused(self, _: Connection | None, error: RemitError) -> Head:
        return Head(500, body=str(error).encode())

    async def connected(self, connection: Connection) -> None:
        return

    def closed(self, connection: Connection) -> None:
        return


class Relay(asyncio.Protocol):
    """The floor: uvloop moving the same bytes both ways over kept connections, no HTTP read at all."""

    def __init__(self, address: tuple[str, int] | None) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self.other: Relay | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._address is not None:
            self._task = asyncio.get_running_loop().create_task(self._join(self._address))

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.write(data)
        else:
            self._early += data

    async def _join(self, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        self.other = (await loop.create_connection(lambda: Relay(None), *address))[1]
        self.other.other = self
        self.data_received(self._early)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.close()


class TinyServer(asyncio.Protocol):
    """Answers each whole request without looking at it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._got = b""

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(ASKED):
            self._got = b""
            self._transport.write(REPLY)


class Load(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    done = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._got = b""
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(SAID):
            self._got = b""
            Load.done += 1
            self._transport.write(REQUEST)


def gateway(core: int, upstream: str, pipe: Pipe) -> None:
    """The process under measure."""
    os.sched_setaffinity(0, {core})

    async def run() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        await serve(sock, PassThrough(Upstream(), upstream), Limits())
        pipe.send(sock.getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


def relay(core: int, upstream: int, pipe: Pipe) -> None:
    """The relay in a process of its own."""
    os.sched_setaffinity(0, {core})

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Relay(("127.0.0.1", upstream)), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


def tiny_server(core: int, pipe: Pipe) -> None:
    """The model server that costs next to nothing."""
    os.sched_setaffinity(0, {core})

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(TinyServer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


def nginx_config(folder: Path, upstream: int, port: int) -> Path:
    """nginx as a reverse proxy with kept connections and one worker."""
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b;"
        f" proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;"
        f" uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"upstream m {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://m; proxy_http_version 1.1;"
        ' proxy_set_header Connection ""; } } }\n'
    )
    return config


@contextmanager
def nginx(core: int, upstream: int) -> Iterator[tuple[int, int]]:
    """nginx pinned to `core`: its worker's pid and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        config = nginx_config(Path(name), upstream, port)
        with subprocess.Popen(["taskset", "-c", str(core), "nginx", "-p", name, "-c", config]) as master:
            try:
                time.sleep(0.5)
                children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
                yield int(children[0]), port
            finally:
                master.terminate()


def on_cpu(pid: int) -> float:
    """Seconds on a CPU so far, by the kernel's scheduler (of all threads)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def load(port: int, pid: int, connections: int, seconds: float) -> tuple[float, float]:
    """Requests/s and CPU µs a request of `pid`, after a warm-up."""
    loop = asyncio.get_running_loop()
    transports = [(await loop.create_connection(Load, "127.0.0.1", port))[0] for _ in range(connections)]
    await asyncio.sleep(0.5)
    done, cpu, began = Load.done, on_cpu(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed, used, answered = time.perf_counter() - began, on_cpu(pid) - cpu, Load.done - done
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.05)
    return answered / elapsed, used / answered * 1e6


def report(name: str, port: int, pid: int, options: argparse.Namespace) -> None:
    for connections in (1, options.connections):
        runs = [uvloop.run(load(port, pid, connections, options.seconds)) for _ in range(ROUNDS)]
        rate, cost = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {connections} | {rate:,.0f} | {cost:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    here, there = cores[0], cores[-1]
    os.sched_setaffinity(0, {there})
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=tiny_server, args=(there, theirs), daemon=True)
    server.start()
    upstream = ours.recv()
    guard = spawn.Process(target=gateway, args=(here, f"http://127.0.0.1:{upstream}", theirs), daemon=True)
    guard.start()
    print("| proxy, one core | connections | requests/s | CPU µs a request |\n|---|---|---|---|")
    report("remit, pass-through", ours.recv(), guard.pid or 0, options)
    floor = spawn.Process(target=relay, args=(here, upstream, theirs), daemon=True)
    floor.start()
    report("uvloop moving the bytes, no HTTP", ours.recv(), floor.pid or 0, options)
    if shutil.which("nginx"):
        with nginx(here, upstream) as (pid, port):
            report("nginx", port, pid, options)
    else:
        print("| nginx | | not installed | |")
    for process in (floor, guard, server):
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
