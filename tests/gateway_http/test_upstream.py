"""Dialogues with model servers that answer, dawdle, break off, lie and hang up."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from remit.errors import ConfigError, ProtocolError, UpstreamError
from remit.gateway.connection import Connection
from remit.gateway.message import Head, Request
from remit.gateway.upstream import PoolLimits, Upstream
from remit.gateway.upstream_address import parse_address
from remit.gateway.upstream_connection import Timeouts
from tests.gateway_http.world import GET, FakeApp, Script, call, model_server, read_request, run, serving, until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BRISK = PoolLimits(sweep_seconds=0.03)


def saying(*replies: bytes) -> Script:
    """Answers each request with the next of `replies`, then closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await read_request(reader)
            writer.write(reply)
            await writer.drain()

    return script


class FakeModelServer:
    """Answers every request with `reply` on as many connections as come, and counts both."""

    def __init__(self, reply: bytes = HELLO) -> None:
        self.reply, self.connections, self.open, self.heard = reply, 0, 0, list[bytes]()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head, body = await read_request(reader)
                self.heard.append(head + body)
                writer.write(self.reply)
        finally:
            self.open -= 1


async def whole(
    upstream: Upstream, address: str, method: str = "GET", body: bytes = b"", timeouts: Timeouts | None = None
) -> bytes:
    headers = (("accept", "*/*"),)
    async with upstream.send(address, method, "/v1/x?y", headers, body, timeouts=timeouts or Timeouts()) as reply:
        assert reply.head.status == 200
        return await reply.read(1 << 20)


@pytest.mark.parametrize("unix", [False, True])
def test_a_request_goes_out_framed_and_connections_are_kept(tmp_path: Path, unix: bool) -> None:
    async def dialogue() -> None:
        server, upstream = FakeModelServer(), Upstream()
        async with model_server(server.script, tmp_path / "s" if unix else None) as address:
            headers = (("x-a", "b"), ("host", "evil"), ("connection", "x-b"), ("transfer-encoding", "chunked"))
            async with upstream.send(address, "POST", "/v1/x?y", headers, b"hi") as reply:
                assert [piece async for piece in reply] == [b"hello"]
            host = "localhost" if unix else address.removeprefix("http://")
            assert server.heard == [
                f"POST /v1/x?y HTTP/1.1\r\nx-a: b\r\nhost: {host}\r\ncontent-length: 2\r\n\r\nhi".encode()
            ]
            for _ in range(20):
                assert await whole(upstream, address) == b"hello"
            assert server.connections == 1
            assert await asyncio.gather(*(whole(upstream, address, "POST", b"x") for _ in range(5))) == [b"hello"] * 5
            assert server.connections == 5
            await upstream.aclose()
            await until(lambda: server.open == 0)

    run(dialogue())


def test_each_read_is_a_piece_at_once() -> None:
    turn = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"3\r\none\r\n2\r\n, \r\n", b"3\r\ntwo\r\n", b"0\r\nx: y\r\n\r\n"):
            await turn.wait()
            turn.clear()
            writer.write(piece)
        await reader.read()

    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(script) as address, upstream.send(address, "GET", "/") as reply:
            assert reply.head.status == 200
            for expected in (b"one, ", b"two"):
                turn.set()
                assert await anext(reply) == expected
            turn.set()
            assert [piece async for piece in reply] == []
        await upstream.aclose()

    run(dialogue())


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_replies_that_end_with_their_connection_are_whole(reply: bytes, body: bytes) -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(saying(reply)) as address:
            assert await whole(upstream, address) == body
            assert await whole(upstream, address) == body
        await upstream.aclose()

    run(dialogue())


@pytest.mark.parametrize("status", [204, 304, 302])
def test_bodiless_replies_and_redirects_come_as_they_are(status: int) -> None:
    async def dialogue() -> None:
        length = "Content-Length: 0\r\n" if status == 302 else ""
        server = FakeModelServer(f"HTTP/1.1 {status} x\r\nLocation: http://127.0.0.1:1/\r\n{length}\r\n".encode())
        upstream = Upstream()
        async with model_server(server.script) as address:
            for _ in range(2):
                got = await upstream.fetch(address, "GET", "/")
                assert (got[0], got[2]) == (status, b"")
            assert server.connections == 1
            await upstream.aclose()

    run(dialogue())


def test_head_has_no_body_whatever_its_length_says() -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")) as address:
            assert await whole(upstream, address, "HEAD") == b""
        await upstream.aclose()

    run(dialogue())


LIES = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "other coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
    "switching": b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "status 99": b"HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n",
    "only interim": b"HTTP/1.1 100 x\r\n\r\n" * 9,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 400_000,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 201 + b"\r\n",
    "two answers": HELLO + HELLO,
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nConte",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_breaks_the_protocol_or_off_is_an_error(lie: str) -> None:
    async def dialogue() -> None:
        upstream = Upstream(BRISK)
        async with model_server(saying(LIES[lie])) as address:
            with pytest.raises(UpstreamError) as broken:
                await whole(upstream, address, "POST", b"x")
            assert broken.value.status == 502
        await upstream.aclose()

    run(dialogue())


def test_what_came_before_the_break_is_handed_over_first() -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(saying(LIES["half a body"])) as address, upstream.send(address, "GET", "/") as reply:
            assert await anext(reply) == b"hello"
            with pytest.raises(UpstreamError, match="in the middle of its answer"):
                await anext(reply)
        await upstream.aclose()

    run(dialogue())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], ids=["never", "stops"])
def test_a_silent_server_is_a_timeout(said: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        await reader.read()

    async def dialogue() -> None:
        upstream = Upstream(BRISK)
        async with model_server(script) as address:
            with pytest.raises(UpstreamError) as silent:
                await whole(upstream, address, timeouts=Timeouts(first_byte=0.1, idle=0.1))
            assert silent.value.status == 504
            with pytest.raises(UpstreamError, match=r"within 0\.1 s"):
                await upstream.fetch(address, "GET", "/", timeout=0.1)
        await upstream.aclose()

    run(dialogue())


def test_nobody_there_is_an_error_with_the_reason(tmp_path: Path) -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(saying(HELLO)) as address:
            pass
        for gone, reason in (
            (address, "connection refused|connect call failed"),
            (f"unix:{tmp_path}/none", r"no such file"),
        ):
            with pytest.raises(UpstreamError, match=re.compile(reason)) as refused:
                await whole(upstream, gone)
            assert refused.value.status == 502
        await upstream.aclose()

    run(dialogue())


def test_leaving_early_cuts_the_server_off_at_once() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        try:
            await reader.read()
        finally:
            ended.set()

    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(script) as address:
            async with upstream.send(address, "GET", "/") as reply:
                assert await anext(reply) == b"one"
            async with asyncio.timeout(0.5):
                await ended.wait()
            ended.clear()
            task = asyncio.create_task(whole(upstream, address))
            await asyncio.sleep(0.05)
            task.cancel()
            async with asyncio.timeout(0.5):
                await ended.wait()
        await upstream.aclose()

    run(dialogue())


def test_a_kept_connection_that_died_is_tried_again_only_for_a_request_that_changes_nothing() -> None:
    server_side: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_side.append(writer)
        await read_request(reader)
        writer.write(HELLO)
        await read_request(reader)  # taken, then closed without a word

    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(script) as address:
            for method in ("GET", "GET"):
                assert await whole(upstream, address, method) == b"hello"
            assert len(server_side) == 2
            with pytest.raises(UpstreamError, match="unanswered"):
                await whole(upstream, address, "POST", b"x")
            assert await whole(upstream, address, "POST", b"x") == b"hello"
            assert len(server_side) == 3
            server_side[-1].close()  # closed while idle: seen before it is used
            await asyncio.sleep(0.02)
            assert await whole(upstream, address, "POST", b"x") == b"hello"
        await upstream.aclose()

    run(dialogue())


def test_the_pool_is_bounded_in_number_and_age() -> None:
    async def dialogue() -> None:
        server = FakeModelServer()
        upstream = Upstream(PoolLimits(idle=2, idle_seconds=0.1, open=3, sweep_seconds=0.03))
        async with model_server(server.script) as address:
            await asyncio.gather(*(whole(upstream, address) for _ in range(3)))
            await until(lambda: server.open == 2)
            await asyncio.sleep(0.15)
            assert await whole(upstream, address) == b"hello"
            assert server.connections == 4
            await until(lambda: server.open == 1)
            one, two, three = (upstream.send(address, "GET", "/") for _ in range(3))
            async with one, two, three:
                with pytest.raises(UpstreamError) as full:
                    await whole(upstream, address)
                assert full.value.status == 503
            await upstream.aclose()

    run(dialogue())


def test_a_slow_reader_holds_the_server_back() -> None:
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(script) as address, upstream.send(address, "GET", "/") as reply:
            await asyncio.sleep(0.2)
            held = sent
            await asyncio.sleep(0.1)
            assert sent == held < 16 << 20
            assert sum([len(piece) async for piece in reply]) == 64 << 20
        await upstream.aclose()

    run(dialogue())


def test_a_body_longer_than_asked_for_is_an_error() -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(saying(HELLO)) as address:
            with pytest.raises(UpstreamError, match="longer than 4 bytes"):
                await upstream.fetch(address, "GET", "/", max_bytes=4)
        await upstream.aclose()

    run(dialogue())


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:1", "http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.0.0.1:80/x",
        "http://u@127.0.0.1:80", "https://127.0.0.1:80", "127.0.0.1:80", "unix:relative", "unix:", "http://127.1:80",
        "http://127.0.0.1:80?x", "http://127.0.0.1:80#x", "http://[::1%lo]:80", "",
    ],
)  # fmt: skip
def test_an_address_is_an_ip_and_a_port_or_a_path(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a model server"):
        parse_address(text)


def test_addresses_say_their_host() -> None:
    assert parse_address("http://127.0.0.1:80/").host == "127.0.0.1:80"
    assert parse_address("http://[::1]:80").host == "[::1]:80"
    assert parse_address("unix:/run/s").path == "/run/s"


def test_a_header_that_stands_twice_has_no_one_value() -> None:
    async def dialogue() -> None:
        upstream = Upstream()
        reply = HELLO.replace(b"\r\n", b"\r\nX-A: 1\r\nX-A: 2\r\n", 1)
        async with model_server(saying(reply)) as address, upstream.send(address, "GET", "/") as got:
            with pytest.raises(ProtocolError, match="stands twice"):
                got.head.header("x-a")
            assert got.head.header("x-b") is None
        await upstream.aclose()

    run(dialogue())


def test_a_hang_up_at_the_front_reaches_the_server_behind() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await reader.read()
        ended.set()

    async def dialogue() -> None:
        upstream = Upstream()
        async with model_server(script) as address:

            async def passing(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
                async with upstream.send(address, request.method, request.target, request.headers) as reply:
                    yield Head(reply.head.status, reply.head.headers, streamed=True)
                    async for piece in reply:
                        yield piece

            async with serving(FakeApp(passing)) as (_, where):
                async with await call(where) as caller:
                    caller.say(GET)
                    await caller.hear(b"3\r\none\r\n")
                async with asyncio.timeout(0.5):
                    await ended.wait()
        await upstream.aclose()

    run(dialogue())
