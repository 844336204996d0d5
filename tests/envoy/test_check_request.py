"""What Envoy says of a request is read in one way or refused; whoever is not Envoy is told no, whatever it says."""

import asyncio
import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError, Status
from grpclib.client import Channel, UnaryUnaryMethod
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import RemitError
from remit.gateway.decisions.ext_authz import BODY_BYTES
from remit.gateway.decisions.ext_authz_proto import METHOD, SERVICE, message_type
from remit.gateway.decisions.ext_authz_request import PASSED, WORKLOAD, Checked, PointError, read_check
from remit.identity.grpc_server import MAX_REQUEST_BYTES
from remit.inventory import Workload
from tests.docs.pages import ROOT
from tests.envoy.test_envoy import behind_envoy
from tests.envoy.world import POINT, SERVER, World, workloads

BODY = b'{"model": "m"}'
LONG = bytes(BODY_BYTES - 4096)


def check(
    *headers: tuple[str, str], path: str = "/v1/chat/completions", body: bytes = BODY, extensions: Any = None
) -> Any:
    """A CheckRequest as Envoy writes it with the settings that docs/envoy.md shows."""
    message = message_type("CheckRequest")()
    http = message.attributes.request.http
    http.method, http.path, http.size, http.raw_body = "POST", path, len(body), body
    http.header_map.headers.add(key=":path", raw_value=path.encode())
    for name, value in headers:
        http.header_map.headers.add(key=name, raw_value=value.encode("latin-1"))
    named = {WORKLOAD: str(SERVER)} if extensions is None else extensions
    for name, value in named.items():
        message.attributes.context_extensions[name] = value
    return message


def test_a_request_is_what_envoy_would_send_on() -> None:
    checked = read_check(check(("Accept", "*/*"), ("Authorization", "Bearer x"), ("x-envoy-peer-metadata", "y")))
    assert (checked.guarded, checked.request.body) == (SERVER, BODY)
    assert checked.request.headers == (("accept", "*/*"), ("authorization", "Bearer x"))
    assert checked.unsent == ("authorization", "x-envoy-peer-metadata")


def test_joined_headers_are_read_where_a_point_sends_no_others() -> None:
    message = check()
    message.attributes.request.http.ClearField("header_map")
    message.attributes.request.http.headers.update({":path": "/", "x-api-key": "k"})
    assert read_check(message).request.headers == (("x-api-key", "k"),)


@pytest.mark.parametrize(
    "wrong",
    [
        check(extensions={}),
        check(extensions={"remit_workload": str(SERVER)}),
        check(("x-envoy-auth-partial-body", "true")),
        check(("x-envoy-auth-partial-body", "false"), ("x-envoy-auth-partial-body", "true")),
        check(("content-length", "200")),
        check(("content-length", "14"), body=b""),
    ],
)
def test_what_a_point_leaves_out_is_its_mistake(wrong: Any) -> None:
    with pytest.raises(PointError):
        read_check(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        check(extensions={WORKLOAD: "spiffe://maple.local/inference/llama\n"}),
        check(("content-length", "14"), ("content-length", "14")),
        check(("upgrade", "websocket")),
        check(path="/v1/chat/../../props"),
        check(path="/v1/chat/completions#x"),
        check(path="http://elsewhere.example/v1/models"),
        check(path="/v1//models"),
        check(path="*"),
        check(path="/v1/m\u00f6dels"),
    ],
)
def test_what_has_two_readings_is_refused(wrong: Any) -> None:
    with pytest.raises(RemitError):
        read_check(wrong)


TEXT = st.text(st.characters(max_codepoint=255), max_size=30)
HEADERS = st.lists(st.tuples(st.sampled_from(["accept", "Accept", "x-api-key", "host", "upgrade", "cookie"]), TEXT))


@given(HEADERS, st.text(max_size=60), st.binary(max_size=40), st.text(max_size=40))
def test_whatever_is_said_it_is_read_or_refused(
    headers: list[tuple[str, str]], path: str, body: bytes, guarded: str
) -> None:
    try:
        checked = read_check(check(*headers, path=path, body=body, extensions={WORKLOAD: guarded}))
    except RemitError:
        return
    assert isinstance(checked, Checked)
    assert all(name in PASSED or name in checked.unsent for name, _ in checked.request.headers)


def test_who_is_no_point_is_told_no_whatever_it_says(tmp_path: Path) -> None:
    """A process of the same person, which can open the socket: this one."""

    async def saying(here: World) -> None:
        async with Channel(path=str(here.socket)) as channel:
            ask = asking(channel)
            said = check()
            said.attributes.source.principal = str(SERVER)
            answer = await ask(said)
            assert answer.status.code == 7
            assert answer.denied_response.status.code == 401
            assert "is no enforcement point" in answer.denied_response.body
            for _ in range(20):
                with pytest.raises(GRPCError) as long:
                    await ask(check(body=bytes(MAX_REQUEST_BYTES)))
                assert long.value.status is Status.RESOURCE_EXHAUSTED

    here = behind_envoy(tmp_path, saying)
    assert here.records() == []
    assert [row["count"] for row in here.records("refusals")] == [1]


def test_no_more_is_held_than_there_is_room_for(tmp_path: Path) -> None:
    """Sixteen requests of nearly 4 MiB that don't end fit; one more is refused at once, until one of them is over."""

    async def saying(here: World) -> None:
        here.put(workloads=points_with(f"unix:path:{Path(sys.executable).resolve()}"))
        async with Channel(path=str(here.socket)) as channel, contextlib.AsyncExitStack() as stack:
            ask = asking(channel)
            streams = [await stack.enter_async_context(ask.open()) for _ in range(16)]
            for stream in streams:
                await begin(stream)
            with pytest.raises(GRPCError) as no_room:
                await ask(check(body=LONG))
            assert no_room.value.status is Status.RESOURCE_EXHAUSTED
            await streams.pop().cancel()
            async with asyncio.timeout(20):
                while not await has_room(ask):
                    await asyncio.sleep(0.01)
            for stream in streams:
                await stream.cancel()

    behind_envoy(tmp_path, saying)


def points_with(selector: str) -> tuple[Workload, ...]:
    """The point is whatever has this selector: a program of ours."""
    return tuple(replace(one, selectors=(selector,)) if one.spiffe_id == POINT else one for one in workloads())


def asking(channel: Channel) -> Any:
    return UnaryUnaryMethod(
        channel, f"/{SERVICE}/{METHOD}", message_type("CheckRequest"), message_type("CheckResponse")
    )


async def begin(stream: Any) -> None:
    """Say that a message of nearly the most bytes comes, and send none of them."""
    await stream.send_request()
    await stream._stream.send_data(b"\0" + (BODY_BYTES - 1).to_bytes(4, "big"))


async def has_room(ask: Any) -> bool:
    """Whether one more is answered, whatever the answer is."""
    with contextlib.suppress(GRPCError):
        await ask(check(body=LONG))
        return True
    return False


@contextlib.asynccontextmanager
async def asker(program: Path, here: World, *how: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A process of that program, a copy of Python, which is the point: the status that it is answered with."""
    here.put(workloads=points_with(f"unix:path:{program}"))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), sysconfig.get_path("purelib")])
    environ = {**os.environ, "PYTHONHOME": sys.base_prefix, "PYTHONPATH": paths}
    pipe = asyncio.subprocess.PIPE
    command = (str(program), "-m", "tests.envoy.asker", str(here.socket), *how)
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environ, cwd=ROOT)
    said, heard = child.stdin, child.stdout
    assert said is not None
    assert heard is not None

    async def answer() -> str:
        said.write(b"ask\n")
        return (await asyncio.wait_for(heard.readline(), 20)).decode().strip()

    try:
        yield answer
    finally:
        said.close()
        await child.wait()


def copy_of_python(place: Path) -> Path:
    return Path(shutil.copy(Path(sys.executable).resolve(), place / "point"))


def test_a_point_whose_program_is_another_by_now_is_one_no_more(tmp_path: Path) -> None:
    """On the same connection: who attested it once must not take its word for ever."""
    program = copy_of_python(tmp_path)

    async def saying(here: World) -> None:
        async with asker(program, here) as answer:
            assert await answer() == "403", "it says nothing of what it guards"
            os.replace(shutil.copy(program, tmp_path / "other"), program)
            assert await answer() == "401", "it is no point"

    behind_envoy(tmp_path, saying)


def test_a_point_that_shares_its_connection_with_another_program_is_none(tmp_path: Path) -> None:
    program = copy_of_python(tmp_path)

    async def saying(here: World) -> None:
        async with asker(program, here, "shared") as answer:
            assert await answer() == "401"

    behind_envoy(tmp_path, saying)
