"""What the fake model servers share: a small HTTP/1.1 server that records what arrives and echoes the prompt."""

import argparse
import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived; `json` is its body read as JSON, if it was any."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    json: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: whole, or in `pieces` sent one by one in chunked encoding."""

    status: int = 200
    kind: str = "application/json"
    body: bytes = b""
    pieces: tuple[bytes, ...] = ()


Handler = Callable[[Received], Answer]


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, body=json.dumps(value).encode())


def as_lines(*values: Any) -> Answer:
    return Answer(kind="application/x-ndjson", pieces=tuple(json.dumps(value).encode() + b"\n" for value in values))


def as_events(*values: Any, done: bool = True) -> Answer:
    """Server-sent events; a pair is (name, value)."""
    pieces = []
    for each in values:
        name, value = each if isinstance(each, tuple) else ("", each)
        pieces.append((f"event: {name}\n" if name else "") + f"data: {json.dumps(value)}\n\n")
    return Answer(
        kind="text/event-stream", pieces=tuple(piece.encode() for piece in pieces + ["data: [DONE]\n\n"] * done)
    )


BACKWARDS = "backwards: "


def echo(prompt: str) -> str:
    """What every fake model says: tests see in it what arrived.

    After `backwards: ` it says the rest from its end: so a test has it say what no prompt held.
    """
    if prompt.startswith(BACKWARDS):
        return prompt[len(BACKWARDS) :][::-1]
    return f"you said: {prompt}"


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def words(content: Any) -> str:
    """The text of a message's content, plain or in parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def last(messages: list[dict[str, Any]]) -> str:
    return words(messages[-1].get("content")) if messages else ""


class FakeModelServer:
    """Serves in a thread of its own while it is entered. `piece` is how many characters a streamed event carries.

    `delay` is seconds between the events of a stream; `break_after` ends each stream rudely after so many of them.
    `record` is a file for those in another process.
    """

    model = "tiny:latest"

    def __init__(
        self,
        *,
        port: int = 0,
        path: str | None = None,
        piece: int = 4,
        delay: float = 0,
        break_after: int | None = None,
        record: Path | None = None,
    ) -> None:
        self.port, self.path, self.piece, self.delay, self.break_after = port, path, piece, delay, break_after
        self.requests: list[Received] = []
        self._record = record.open("x", encoding="utf-8", buffering=1) if record else None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ended = asyncio.Event()

    def routes(self) -> dict[tuple[str, str], Handler]:
        raise NotImplementedError

    def handle(self, request: Received) -> Answer:
        """The answer of the route; servers override this for paths with names in them."""
        found = self.routes().get((request.method, request.path))
        if found is None:
            return as_json({"error": f"{request.method} {request.path} not found"}, 404)
        return found(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """As a workload's `upstream` is written."""
        return f"unix:{self.path}" if self.path else self.url

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(5):
            raise TimeoutError("the fake server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(5)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        if self.path:
            server: asyncio.Server = await asyncio.start_unix_server(self._connection, self.path)
        else:
            server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
            self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._ended.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await self._read(reader)) is not None:
                self._keep(request)
                if not await self._write(writer, request, self.handle(request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _keep(self, request: Received) -> None:
        self.requests.append(request)
        if self._record is not None:
            text = request.body.decode("latin-1")
            self._record.write(json.dumps({**asdict(request), "body": text}) + "\n")

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        if not head:
            return None
        start, *rows = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = start.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        body = await self._body(reader, headers)
        path, _, query = target.partition("?")
        try:
            value = json.loads(body) if body else None
        except ValueError:
            value = None
        return Received(method, path, query, headers, body, value)

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body

    async def _write(self, writer: asyncio.StreamWriter, request: Received, answer: Answer) -> bool:
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: {answer.kind}\r\n"
        if not answer.pieces:
            writer.write(f"{head}Content-Length: {len(answer.body)}\r\n\r\n".encode())
            writer.write(b"" if request.method == "HEAD" else answer.body)
            await writer.drain()
            return True
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for number, piece in enumerate(answer.pieces):
            if number == self.break_after:
                return False
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            if self.delay:
                await asyncio.sleep(self.delay)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


class OpenAiRoutes(FakeModelServer):
    """OpenAI's chat, completions, embeddings and models, as the fakes of compatible servers speak them."""

    extra: ClassVar[dict[str, Any]] = {}

    def openai_routes(self, prefix: str = "/v1") -> dict[tuple[str, str], Handler]:
        return {
            ("GET", f"{prefix}/models"): self.models,
            ("POST", f"{prefix}/chat/completions"): self.chat,
            ("POST", f"{prefix}/completions"): self.complete,
            ("POST", f"{prefix}/embeddings"): self.embed,
        }

    def models(self, _: Received) -> Answer:
        row = {"id": self.model, "object": "model", "created": 1700000000, "owned_by": "fake"}
        return as_json({"object": "list", "data": [row]})

    def usage(self, prompt: str, answer: str) -> dict[str, Any]:
        counts = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(answer.split())}
        return {**counts, "total_tokens": sum(counts.values()), "prompt_tokens_details": {"cached_tokens": 2}}

    def chat(self, request: Received) -> Answer:
        prompt = last(request.json["messages"])
        text = echo(prompt)
        head = {"id": "chatcmpl-1", "created": 1700000000, "model": request.json.get("model", self.model)}
        if not request.json.get("stream"):
            message = {"role": "assistant", "content": text}
            told = self.logprobs(request, text)
            choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": "stop"}
            return as_json(
                {
                    **head,
                    "object": "chat.completion",
                    "choices": [choice],
                    "usage": self.usage(prompt, text),
                    **self.extra,
                }
            )
        return as_events(*self._chunks({**head, "object": "chat.completion.chunk"}, request, prompt, text))

    def logprobs(self, request: Received, text: str) -> dict[str, Any] | None:
        """Each piece of the text with a probability, for who asked for it."""
        if not request.json.get("logprobs"):
            return None
        return {"content": [{"token": piece, "logprob": -0.1, "top_logprobs": []} for piece in cut(text, self.piece)]}

    def _chunks(self, head: dict[str, Any], request: Received, prompt: str, text: str) -> Iterator[dict[str, Any]]:
        deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in cut(text, self.piece))]
        for delta in deltas:
            told = self.logprobs(request, delta["content"])
            yield {**head, "choices": [{"index": 0, "delta": delta, "logprobs": told, "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        if (request.json.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": self.usage(prompt, text)}

    def complete(self, request: Received) -> Answer:
        prompt = request.json["prompt"]
        text = echo(prompt)
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": self.model}
        if request.json.get("stream"):
            texts = [*((piece, None) for piece in cut(text, self.piece)), ("", "stop")]
            return as_events(
                *({**head, "choices": [{"index": 0, "text": piece, "finish_reason": end}]} for piece, end in texts)
            )
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
        return as_json({**head, "choices": [choice], "usage": self.usage(prompt, text), **self.extra})

    def embed(self, request: Received) -> Answer:
        given = request.json["input"]
        texts = [given] if isinstance(given, str) else given
        rows = [{"object": "embedding", "index": place, "embedding": [0.5, 0.25]} for place, _ in enumerate(texts)]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return as_json({"object": "list", "data": rows, "model": self.model, "usage": usage})


def serve(make: Callable[..., FakeModelServer], default_port: int) -> None:
    """`python -m tests.fakes.fake_… --port N | --socket PATH`: serves until it is interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=default_port)
    parser.add_argument("--socket")
    parser.add_argument("--record", type=Path, help="a new file for what arrives, one JSON object a line")
    parser.add_argument("--delay", type=float, default=0)
    given = parser.parse_args()
    with make(port=given.port, path=given.socket, record=given.record, delay=given.delay) as server:
        print(json.dumps({"listening": server.address}), flush=True)
        threading.Event().wait()
