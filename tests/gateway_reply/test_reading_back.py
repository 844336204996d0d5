"""What a model server answers, over a real connection, and what of it a caller gets."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from remit.detect import Detector
from remit.errors import UpstreamError
from remit.gateway.call import Call
from remit.gateway.dialects import DIALECTS, Asked
from remit.gateway.message import Head
from remit.gateway.reply import read_back
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.routes import match, profile
from remit.gateway.upstream import Upstream
from remit.identity import SpiffeId
from remit.policy import Permit
from remit.redaction import Scrubber, scrubber

TOKEN = "ghp_" + "A1b2C3d4E5" * 4
ESCAPED = json.dumps({"a": TOKEN}).replace("ghp", "\\u0067hp").encode()
SCRUBBER = Scrubber(Detector())
PERMIT = Permit("d", b"intent", (), {}, "set", 1, 2e9)
ZONE: Any = SimpleNamespace(
    scrubber=SCRUBBER, snapshot=SimpleNamespace(grade="C", policy_warning="", emergency=None, observing=False)
)
TAGS = ("ollama", "GET", "/api/tags")
CHAT = ("llama.cpp", "POST", "/v1/chat/completions")


class Heard(ReplyWriter):
    """What a caller would get."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.pieces: list[bytes] = []

    def head(self, head: Head) -> None:
        self.heads.append(head)

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)


def ask(server: str, method: str, path: str, *, stream: bool) -> Any:
    """A request of this kind; only what concerns its answer."""
    route = match(profile(server), method, path)
    workload = SimpleNamespace(name="the server", credential=None)
    return SimpleNamespace(workload=workload, route=route, dialect=DIALECTS[route.dialect], asked=Asked(None, stream))


def reply(
    body: bytes, kind: str = "", *more: str, to: tuple[str, str, str] = TAGS, status: int = 200, stream: bool = False
) -> tuple[Head, bytes]:
    """The head and body that a caller gets of an answer."""
    lines = [f"HTTP/1.1 {status} X", *([f"Content-Type: {kind}"] if kind else []), *more]
    if status not in {204, 304}:
        lines.append(f"Content-Length: {len(body)}")
    raw = "\r\n".join([*lines, "", ""]).encode() + (b"" if to[1] == "HEAD" else body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    async def exchanged() -> tuple[Head, bytes]:
        upstream = Upstream()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            call = Call.begin(SpiffeId.parse("spiffe://here/server"), 0.0, 0.0, lambda _: None)
            heard = Heard()
            async with upstream.send(f"http://127.0.0.1:{port}", to[1], to[2]) as answer:
                await read_back(answer, ask(*to, stream=stream), PERMIT, call, ZONE, heard)
            await upstream.aclose()
        [head] = heard.heads
        return head, (head.body or b"") + b"".join(heard.pieces)

    return asyncio.run(asyncio.wait_for(exchanged(), 10))


def kind_of(head: Head) -> list[str]:
    return [value for name, value in head.headers if name == "content-type"]


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", ""])
def test_an_empty_body_passes_as_empty(kind: str) -> None:
    assert reply(b"{}", kind, to=("ollama", "HEAD", "/api/tags"))[1] == b""
    for status in (204, 304, 200, 404):
        head, body = reply(b"", kind, status=status)
        assert (head.status, body) == (status, b"")


@pytest.mark.parametrize(
    "kind", ["", "text/json", "application/problem+json", "text/plain", "application/vnd.x+json; a=b", "text/html"]
)
@pytest.mark.parametrize("before", [b"", b" \r\n"])
def test_an_escape_hides_no_secret_whatever_the_answer_calls_itself(kind: str, before: bytes) -> None:
    head, body = reply(before + ESCAPED, kind)
    assert "[REDACTED:" in json.loads(body)["a"]
    assert TOKEN[5:] not in body.decode()
    assert kind_of(head) == ["application/json"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-16", "text/plain; Charset=UTF-7", 'text/html;charset="x"']
)
def test_another_charset_is_refused(kind: str) -> None:
    with pytest.raises(UpstreamError, match="charset"):
        reply(b"{}", kind)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_answer_is_refused(coding: str) -> None:
    with pytest.raises(UpstreamError, match="compressed"):
        reply(b"{}", "application/json", f"Content-Encoding: {coding}")


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png", "multipart/mixed", "json", "text/"])
def test_what_cannot_be_examined_is_refused(kind: str) -> None:
    with pytest.raises(UpstreamError):
        reply(b"x", kind)


def test_two_content_types_are_refused() -> None:
    with pytest.raises(UpstreamError, match="twice"):
        reply(b"x", "text/plain", "Content-Type: application/json")


def test_text_is_cleaned_and_said_to_be_utf_8() -> None:
    head, body = reply(f"the key is {TOKEN}.".encode(), "text/plain; version=0.0.4", status=404)
    assert TOKEN.encode() not in body
    assert kind_of(head) == ["text/plain; charset=utf-8"]
    head, body = reply(b"Ollama is running", "application/octet-stream", to=("ollama", "GET", "/"))
    assert (body, kind_of(head)) == (b"Ollama is running", ["text/plain; charset=utf-8"])
    with pytest.raises(UpstreamError):
        reply(TOKEN.encode("utf-16"), "text/plain")


def test_an_answer_with_too_much_to_look_at_is_the_servers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "MAX_SUSPECTS", 2)
    with pytest.raises(UpstreamError, match="the server answered with JSON that can't be taken"):
        reply(json.dumps([TOKEN] * 3).encode(), "application/json")


def test_events_are_read_as_events_whoever_asked_for_them() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": TOKEN}}]}
    stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    head, body = reply(stream, "text/event-stream; charset=utf-8", to=CHAT)
    assert head.streamed
    assert TOKEN.encode() not in body
    assert kind_of(head) == ["text/event-stream"]
    with pytest.raises(UpstreamError):
        reply(stream, "text/plain", to=CHAT, stream=True)
