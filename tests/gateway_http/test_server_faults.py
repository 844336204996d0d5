"""Callers that drip, stall, hang up or come in thousands."""

import asyncio
import os
import resource
import socket
import struct
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from remit.errors import RemitError
from remit.gateway.connection import Connection
from remit.gateway.limits import Limits
from remit.gateway.message import Head, Request
from tests.gateway_http.test_server_dialogues import CLOSE, POST, statuses
from tests.gateway_http.world import GET, QUICK, FakeApp, ask, call, run, serving, until


class Endless:
    """Streams for ever and notes how it ended."""

    def __init__(self, pause: float = 0.005) -> None:
        self.pause, self.pieces, self.ended = pause, 0, ""

    async def exchange(self, request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        try:
            yield Head(200, streamed=True)
            while True:
                self.pieces += 1
                yield b"x" * 10_000
                await asyncio.sleep(self.pause)
        except (GeneratorExit, asyncio.CancelledError) as end:
            self.ended = type(end).__name__
            raise


async def waiting(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
    await asyncio.sleep(0.25)
    yield Head(200, body=b"late")


@pytest.mark.parametrize("goodbye", ["close", "reset", "half"])
def test_a_hang_up_in_the_middle_of_a_stream_ends_the_exchange_at_once(goodbye: str) -> None:
    async def dialogue() -> None:
        endless = Endless()
        app = FakeApp(endless.exchange)
        async with serving(app) as (_, where), await call(where) as caller:
            caller.say(GET)
            await caller.hear(b"xxx")
            if goodbye == "close":
                caller.writer.close()
            elif goodbye == "half":
                caller.writer.write_eof()
            else:
                sock = caller.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                caller.writer.transport.abort()
            await until(lambda: bool(endless.ended), 0.5)
            await until(lambda: bool(app.went), 0.5)

    run(dialogue())


def test_a_hang_up_before_the_head_ends_the_exchange_also_with_more_requests_queued() -> None:
    ended: list[str] = []

    async def stuck(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        try:
            await asyncio.sleep(60)
            yield Head(200)
        finally:
            ended.append(request.path)

    async def dialogue() -> None:
        app = FakeApp(stuck)
        async with serving(app) as (_, where):
            async with await call(where) as caller:
                caller.say(GET * 3)
                await until(lambda: len(app.asked) == 1)
            await until(lambda: ended == ["/"], 0.5)
            async with await call(where) as caller:
                caller.say(GET)
                await until(lambda: len(app.asked) == 2)
                caller.say(GET * 4_000)  # past the backlog: reading is paused, which hides the end of the stream
                await asyncio.sleep(0.05)
            await until(lambda: len(ended) == 2, 0.5)
        assert len(app.asked) == 2

    run(dialogue())


def test_a_caller_that_goes_after_its_reply_does_not_cut_what_the_exchange_still_does() -> None:
    ended: list[str] = []

    async def thorough(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        yield Head(200, body=b"done")
        await asyncio.sleep(0.05)
        ended.append("to the end")

    async def dialogue() -> None:
        app = FakeApp(thorough)
        async with serving(app) as (_, where):
            async with await call(where) as caller:
                caller.say(GET)
                await caller.hear(b"done")
            await until(lambda: ended == ["to the end"])
            await until(lambda: app.came == app.went)

    run(dialogue())


def test_a_reader_that_does_not_read_stops_the_exchange_and_is_cut_in_the_end() -> None:
    async def dialogue() -> None:
        endless = Endless(pause=0)
        async with serving(FakeApp(endless.exchange), Limits(stalled_write_seconds=0.5, sweep_seconds=0.03)) as (
            _,
            where,
        ):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, where)
            sock.send(GET)
            await until(lambda: endless.pieces > 3)
            await asyncio.sleep(0.2)
            held = endless.pieces
            await asyncio.sleep(0.1)
            assert endless.pieces == held < 1000  # 10 MB: what kernel and transport buffer, no more
            await until(lambda: bool(endless.ended))
            sock.close()

    run(dialogue())


@pytest.mark.parametrize(
    ("drip", "heard"),
    [(b"", []), (b"GET / HTTP/1.1\r\nHo", [408]), (POST + b"Content-Length: 900000\r\n\r\nx", [408]), (GET, [200])],
    ids=["silent", "head", "body", "kept alive"],
)
def test_a_caller_that_takes_too_long_is_cut(drip: bytes, heard: list[int]) -> None:
    async def dialogue() -> None:
        async with serving(FakeApp(), QUICK) as (_, where), await call(where) as caller:

            async def dripping() -> None:
                for _ in range(200 if drip and drip != GET else 0):
                    await asyncio.sleep(0.02)
                    caller.say(b"a")

            caller.say(drip)
            task = asyncio.create_task(dripping())
            assert statuses(await caller.hear_all()) == heard
            task.cancel()

    run(dialogue())


def test_a_slow_exchange_is_not_a_slow_caller() -> None:
    async def dialogue() -> None:
        async with serving(FakeApp(waiting), QUICK) as (_, where):
            assert statuses(await ask(where, GET + CLOSE)) == [200, 200]

    run(dialogue())


def test_a_thousand_idle_connections_are_carried_and_the_first_of_them_gives_way_to_one_more() -> None:
    async def dialogue() -> None:
        app = FakeApp()
        idle = []
        async with serving(app, Limits(connections=1001, sweep_seconds=0.05)) as (listener, where):
            for _ in range(1000):
                sock = socket.create_connection(where)
                sock.setblocking(False)
                idle.append(sock)
                await asyncio.sleep(0)
            await until(lambda: len(listener) == 1000)
            async with await call(where) as caller:
                caller.say(GET)
                await caller.hear(b"GET /")
                assert statuses(await ask(where, GET + CLOSE)) == [200, 200]
                assert idle[0].recv(1) == b""
                with pytest.raises(BlockingIOError):
                    idle[1].recv(1)
                caller.say(GET)
                await caller.hear(b"GET /")
            for sock in idle:
                sock.close()
            await until(lambda: len(listener) == 0)
            await until(lambda: len(app.went) == 1002)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"OPEN FILES: only {hard} allowed, 4096 needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    run(dialogue())


def test_who_begins_requests_and_never_ends_them_keeps_nobody_out() -> None:
    async def dialogue() -> None:
        begun = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        few = serving(FakeApp(), Limits(connections=2))
        async with few as (listener, where), await call(where) as one, await call(where) as two:
            one.say(begun)
            two.say(begun)
            await until(lambda: len(listener) == 2)
            for _ in range(3):
                assert statuses(await ask(where, GET + CLOSE)) == [200, 200]

    run(dialogue())


def test_one_too_many_is_told_so_while_all_the_others_are_being_answered() -> None:
    async def dialogue() -> None:
        app = FakeApp(waiting)
        few = serving(app, Limits(connections=2))
        async with few as (_, where), await call(where) as one, await call(where) as two:
            one.say(GET)
            two.say(GET)
            await until(lambda: len(app.asked) == 2)
            assert statuses(await ask(where, b"")) == [503]
            assert (await one.hear(b"late")).endswith(b"late")

    run(dialogue())


def test_closing_the_listener_lets_running_requests_end_and_idle_ones_go() -> None:
    async def dialogue() -> None:
        app = FakeApp(waiting)
        async with serving(app) as (listener, where), await call(where) as busy, await call(where) as idle:
            busy.say(GET)
            await until(lambda: len(app.asked) == 1 and len(app.came) == 2)
            listener.close()
            assert await idle.hear_all() == b""
            heard = await busy.hear_all()
            assert heard.endswith(b"late")
            await listener.wait_closed()
            assert not listener.is_serving()

    run(dialogue())


def test_the_app_can_cut_a_connection() -> None:
    async def cutting(request: Request, connection: Connection) -> AsyncGenerator[Head | bytes, None]:
        connection.abort("another holds it too")
        await asyncio.sleep(5)
        yield Head(200)

    async def dialogue() -> None:
        app = FakeApp(cutting)
        async with serving(app) as (_, where):
            assert await ask(where, GET) == b""
        assert app.went[0].abort_reason == "another holds it too"

    run(dialogue())


def test_a_unix_caller_is_known_by_its_socket(tmp_path: Path) -> None:
    pids: list[int] = []

    async def who(request: Request, connection: Connection) -> AsyncGenerator[Head | bytes, None]:
        raw = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pids.append(struct.unpack("3i", raw)[0])
        yield Head(200)

    async def dialogue() -> None:
        async with serving(FakeApp(who), path=tmp_path / "s") as (_, where):
            await ask(where, CLOSE)
        assert pids == [os.getpid()]

    run(dialogue())


def test_an_exchange_without_a_reply_is_an_error_to_the_caller() -> None:
    async def nothing(request: Request, _: Connection) -> AsyncGenerator[Head | bytes, None]:
        if request.path == "/raise":
            raise RemitError("no")
        if request.path == "/two":
            yield Head(200, body=b"")
        if request.path in {"/two", "/bytes"}:
            yield b"not a head"

    async def dialogue() -> None:
        async with serving(FakeApp(nothing)) as (_, where):
            for path in (b"/ ", b"/raise ", b"/bytes "):
                assert statuses(await ask(where, GET.replace(b"/ ", path))) == [500]
            assert statuses(await ask(where, GET.replace(b"/ ", b"/two "))) == [200]

    run(dialogue())
