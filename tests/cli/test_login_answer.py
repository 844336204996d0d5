"""The port that waits for the browser: only the login's own answer ends the wait, and nothing holds it up."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.cli import login_answer
from remit.cli.login_answer import MAX_REQUEST, LoginAnswer, answer_in

STATE, HOST = "s-7c2a", "127.0.0.1:4000"


def head(target: str, *, method: str = "GET", host: str = HOST) -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode(errors="replace")


def test_the_answer_is_what_comes_back_with_the_state() -> None:
    assert answer_in(head(f"/remit?code=c%2F1&state={STATE}"), HOST, STATE) == {"code": "c/1", "state": STATE}
    assert answer_in(head(f"/remit?error=access_denied&state={STATE}&iss="), HOST, STATE) is not None


@pytest.mark.parametrize(
    "stray",
    [
        head("/favicon.ico"),
        head("/remit"),
        head(f"/remit/?code=c&state={STATE}"),
        head("/remit?code=c"),
        head("/remit?code=c&state=s-7c2b"),
        head("/remit?code=c&state=%C3%A4"),
        head(f"/remit?code=c&state={STATE}&code=d"),
        head(f"/remit?code=c&state={STATE}&" + "&".join(f"p{n}=1" for n in range(16))),
        head(f"/remit?code=c&state={STATE}&;&"),
        head(f"/remit?code=c&state={STATE}", method="POST"),
        head(f"/remit?code=c&state={STATE}", host="login.maple.example:4000"),
        head(f"http://{HOST}/remit?code=c&state={STATE}"),
        f"GET /remit?code=c&state={STATE} HTTP/1.1\r\n\r\n".encode(),
        f"GET /remit?code=c&state={STATE}\r\n\r\n".encode(),
        b"\x16\x03\x01\xff\r\n\r\n",
    ],
)
def test_everything_else_is_turned_away(stray: bytes) -> None:
    assert answer_in(stray, HOST, STATE) is None


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: head("/remit?" + text))))
def test_no_other_bytes_are_an_answer(stray: bytes) -> None:
    assert answer_in(stray, HOST, STATE) is None


async def _ask(host: str, request: bytes) -> bytes:
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionResetError:  # it was cut with some of the request unread
        return b""
    finally:
        writer.close()


async def _conversation() -> tuple[Mapping[str, str], list[bytes]]:
    answer, said = LoginAnswer(STATE), []
    async with answer.listening() as redirect_uri:
        host = urlsplit(redirect_uri).netloc
        silent = await asyncio.open_connection(*host.split(":"))  # as a browser does ahead of time
        said += [await _ask(host, head("/favicon.ico", host=host)), await _ask(host, b"a" * (MAX_REQUEST + 1) * 2)]
        said.append(await _ask(host, head(f"/remit?code=right&state={STATE}", host=host)))
        said.append(await _ask(host, head(f"/remit?code=later&state={STATE}", host=host)))
        found = await answer.wait(5)
        silent[1].close()
    return found, said


def test_the_first_answer_is_the_only_one() -> None:
    found, said = asyncio.run(_conversation())
    assert found["code"] == "right"
    assert [reply.split(b"\r\n")[0] for reply in said] == [
        b"HTTP/1.1 404 Not Found", b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found",
    ]  # fmt: skip
    assert b"cache-control: no-store" in said[2]
    assert STATE.encode() not in said[2]


async def _crowd() -> Mapping[str, str]:
    answer = LoginAnswer(STATE)
    async with answer.listening() as redirect_uri:
        host = urlsplit(redirect_uri).netloc
        idle = [await asyncio.open_connection(*host.split(":")) for _ in range(login_answer.MAX_OPEN)]
        assert await _ask(host, head(f"/remit?code=c&state={STATE}", host=host)) == b""
        cut = asyncio.gather(*(reader.read() for reader, _ in idle))  # each, when its time is over
        await asyncio.wait_for(cut, 5)
        for _, writer in idle:
            writer.close()
        assert await _ask(host, head(f"/remit?code=c&state={STATE}", host=host))
        return await answer.wait(5)


def test_connections_that_say_nothing_are_few_and_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_answer, "REQUEST_SECONDS", 0.3)
    assert asyncio.run(_crowd())["code"] == "c"
