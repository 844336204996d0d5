"""Dialogues with the server in raw bytes: framing, order, refusals."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from remit.errors import ProtocolError, UpstreamError
from remit.gateway.connection import Connection
from remit.gateway.limits import Limits
from remit.gateway.message import Head, Request
from tests.gateway_http.world import GET, FakeApp, ask, call, run, serving, until

POST = b"POST /p HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def statuses(heard: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", heard)]


async def stream(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
    yield Head(200, (("content-type", "text/event-stream"), ("connection", "x"), ("x-a", "b")), streamed=True)
    yield b"one"
    yield b""
    yield b"two"


async def declared(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
    yield Head(200, length=int(request.query or 6))
    yield b"abc"
    yield b"def"


def test_a_whole_reply_has_a_length() -> None:
    async def dialogue() -> None:
        app = FakeApp()
        async with serving(app) as (_, where):
            heard = await ask(where, POST + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi")
        assert heard == (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nconnection: close\r\n\r\nPOST /phi"
        )
        assert app.asked[0].header("host") == "x"
        assert not app.asked[0].keep_alive

    run(dialogue())


def test_a_streamed_reply_is_one_chunk_a_piece() -> None:
    async def dialogue() -> None:
        async with serving(FakeApp(stream)) as (_, where):
            heard = await ask(where, CLOSE)
            old = await ask(where, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert heard.endswith(
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        )
        assert b"connection: x" not in heard
        assert old.endswith(b"x-a: b\r\nconnection: close\r\n\r\nonetwo")

    run(dialogue())


def test_a_reply_is_exactly_as_long_as_declared() -> None:
    async def dialogue() -> None:
        async with serving(FakeApp(declared)) as (_, where):
            assert (await ask(where, CLOSE)).endswith(b"content-length: 6\r\nconnection: close\r\n\r\nabcdef")
            assert (await ask(where, CLOSE.replace(b"/end", b"/?4"))).count(b"def") == 0
            assert b"content-length: 9" in await ask(where, CLOSE.replace(b"/end", b"/?9"))

    run(dialogue())


@pytest.mark.parametrize("script", [stream, declared])
def test_head_and_bodiless_replies_have_no_body(script: object) -> None:
    async def empty(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        yield Head(204 if request.path == "/204" else 304)

    async def dialogue() -> None:
        async with serving(FakeApp(script)) as (_, where):  # type: ignore[arg-type]
            heard = await ask(where, GET.replace(b"GET", b"HEAD") + CLOSE.replace(b"GET", b"HEAD"))
            assert statuses(heard) == [200, 200]
            assert b"abc" not in heard
            assert b"one" not in heard
        async with serving(FakeApp(empty)) as (_, where):
            heard = await ask(where, GET.replace(b"/ ", b"/204 ") + GET + CLOSE)
            assert statuses(heard) == [204, 304, 304]

    run(dialogue())


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    running = 0

    async def slow(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.002)
        yield Head(200, body=request.path.encode())
        running -= 1

    async def dialogue() -> None:
        paths = [b"/%d" % n for n in range(40)]
        async with serving(FakeApp(slow)) as (_, where):
            heard = await ask(where, b"".join(GET.replace(b"/ ", path + b" ") for path in paths) + CLOSE)
            assert re.findall(rb"\r\n\r\n(/(?:\d+|end))", heard) == [*paths, b"/end"]
            async with await call(where) as caller:  # in pieces, with bodies, past the backlog's bound
                requests = b"".join(POST + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000 for _ in range(30)) + CLOSE
                for start in range(0, len(requests), 1111):
                    caller.say(requests[start : start + 1111])
                heard = await caller.hear_all()
            assert statuses(heard) == [200] * 31

    run(dialogue())


def test_too_many_pipelined_requests_are_cut_after_the_first_answers() -> None:
    async def dialogue() -> None:
        async with serving(FakeApp()) as (_, where):
            assert statuses(await ask(where, GET * 200)) == [200] * 64 + [400]

    run(dialogue())


def test_chunked_bodies_arrive_whole() -> None:
    async def dialogue() -> None:
        app = FakeApp()
        async with serving(app) as (_, where), await call(where) as caller:
            for byte in POST + b"Transfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n":
                caller.say(bytes([byte]))
                await asyncio.sleep(0)
            assert (await caller.hear(b"hello!")).endswith(b"POST /phello!")

    run(dialogue())


def test_expect_continue_is_answered_before_the_body() -> None:
    async def dialogue() -> None:
        async with serving(FakeApp()) as (_, where), await call(where) as caller:
            caller.say(GET + POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            await caller.hear(b"GET /")
            assert await caller.hear(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            caller.say(b"ok")
            await caller.hear(b"POST /pok")

    run(dialogue())


SMUGGLING = {
    "length and chunked": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "signed length": POST + b"Content-Length: +1\r\n\r\na",
    "hex length": POST + b"Content-Length: 0x1\r\n\r\na",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "overflowing length": POST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "coding before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity beside chunked": POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "misspelt coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding after a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "coding and space": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "space before the first header": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "bare line feed": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "line feeds only": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare carriage return": b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "null in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "null in a name": b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n",
    "control in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x08c\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n",
    "empty name": b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "host list": b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
    "absolute target": b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2 by name": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "CONNECT": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "upgrade with a body": POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc",
    "upgrade unnamed": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
    "trailers": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: y\r\n\r\n",
    "chunk size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "chunk size in 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "chunk size overflow": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
    "chunk longer than said": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "line feed in a chunk extension": POST + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
    "unmeetable expectation": POST + b"Content-Length: 1\r\nExpect: x\r\n\r\na",
}


@pytest.mark.parametrize("trick", SMUGGLING)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_smuggling_trick_is_refused_and_nothing_after_it_is_read(trick: str, step: int) -> None:
    async def dialogue() -> None:
        app = FakeApp()
        said = SMUGGLING[trick] + GET
        async with serving(app) as (_, where), await call(where) as caller:
            for start in range(0, len(said), step):
                caller.say(said[start : start + step])
                await asyncio.sleep(0)
            heard = await caller.hear_all()
        assert app.asked == []
        head, _, body = heard.partition(b"\r\n\r\n")
        assert statuses(heard)[0] in {400, 413, 417, 501, 505}
        assert len(statuses(heard)) == 1
        assert b"connection: close" in head
        assert json.loads(body)["error"]["message"]

    run(dialogue())


def test_a_trick_behind_a_good_request_does_not_hide_its_answer() -> None:
    async def dialogue() -> None:
        app = FakeApp()
        async with serving(app) as (_, where):
            assert statuses(await ask(where, GET + SMUGGLING["two hosts"] + GET)) == [200, 400]
            assert statuses(await ask(where, CLOSE + GET)) == [200]
        assert len(app.asked) == 2

    run(dialogue())


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 400_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A" * 400_000, 431),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (POST + b"Content-Length: 2000001\r\n\r\n", 413),
        (POST + b"Content-Length: 2000001\r\n\r\n" + b"x" * 2_000_001, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"186a0\r\n%b\r\n" % (b"x" * 100_000) * 21, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 600_000, 400),
    ],
    ids=["long value", "endless value", "many", "endless name", "target", "declared", "sent", "chunked", "extension"],
)
def test_what_is_too_large_is_refused_with_an_answer_that_arrives(said: bytes, status: int) -> None:
    async def dialogue() -> None:
        app = FakeApp()
        async with serving(app, Limits(body_bytes=2_000_000, linger_seconds=1)) as (_, where):
            assert statuses(await ask(where, said)) == [status]
        assert app.asked == []

    run(dialogue())


def test_bodies_share_one_budget() -> None:
    async def dialogue() -> None:
        limits = Limits(body_bytes=600_000, body_bytes_total=1_000_000)
        half = POST + b"Content-Length: 600000\r\n\r\n" + b"x" * 550_000
        async with serving(FakeApp(), limits) as (_, where), await call(where) as first:
            first.say(half)
            await asyncio.sleep(0.05)
            assert statuses(await ask(where, half)) == [503]
            first.say(b"x" * 50_000)
            await first.hear(b"POST /p")
            assert statuses(await ask(where, half + b"x" * 50_000 + CLOSE)) == [200, 200]

    run(dialogue())


@pytest.mark.parametrize(
    ("error", "status"), [(ProtocolError("no", status=421), 421), (UpstreamError("gone", status=504), 504)]
)
def test_an_error_before_the_head_is_answered_with_its_status(error: ProtocolError, status: int) -> None:
    async def failing(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        if request.path == "/late":
            yield Head(200, streamed=True)
            yield b"begun"
        raise error

    async def dialogue() -> None:
        async with serving(FakeApp(failing)) as (_, where):
            heard = await ask(where, GET)
            assert statuses(heard) == [status]
            assert json.loads(heard.partition(b"\r\n\r\n")[2])["error"]["message"] == str(error)
            late = await ask(where, GET.replace(b"/ ", b"/late "))
            assert b"0\r\n\r\n" not in late

    run(dialogue())


def test_a_connection_refused_by_the_app_is_answered_so() -> None:
    async def dialogue() -> None:
        app = FakeApp(refuse=ProtocolError("who are you", status=403))
        async with serving(app) as (_, where):
            assert statuses(await ask(where, GET)) == [403]
            async with await call(where):
                await until(lambda: len(app.came) == 2)
        assert app.asked == []

    run(dialogue())


def test_a_reply_cannot_be_split_by_its_headers() -> None:
    async def splitting(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        yield Head(200, (("x-a" if request.path == "/v" else "x\r\nset-cookie", "b\r\nset-cookie: c"),), body=b"")

    async def dialogue() -> None:
        async with serving(FakeApp(splitting)) as (_, where):
            for path in (b"/v ", b"/n "):
                heard = await ask(where, GET.replace(b"/ ", path))
                assert statuses(heard) == [500]
                assert b"set-cookie" not in heard

    run(dialogue())


def test_unix_sockets_are_served_alike_and_say_who_is_there(tmp_path: Path) -> None:
    async def dialogue() -> None:
        app = FakeApp()
        async with serving(app, path=tmp_path / "s") as (_, where):
            assert statuses(await ask(where, GET + CLOSE)) == [200, 200]
        assert app.came[0].kind == "unix"
        assert app.came == app.went

    run(dialogue())
