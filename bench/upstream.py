"""The model server behind every peer: fixed answers, so that what is measured is the way there and back.

Run: python -m bench.upstream PORT STAMPS. Answers `GET /v1/models`, `/health` and chat completions. A prompt that
says `stream N pieces P every U phase F` (µs; phase `now`: at once) gets P pieces; the send time of each piece goes
into the file STAMPS, so that a client on the same machine knows how long each was on its way.
"""

import asyncio
import json
import mmap
import re
import sys
import time
from pathlib import Path
from typing import Final, cast

import httptools
import uvloop

STREAMS: Final = 1024
PIECES: Final = 1024
STAMPS_BYTES: Final = STREAMS * PIECES * 8

MODELS: Final = json.dumps({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "bench"}]}).encode()
TEXT: Final = "The guard reads each answer as it comes and lets it pass when nothing in it should stay where it is. "
SAID: Final = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": TEXT + TEXT}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 96, "completion_tokens": 42, "total_tokens": 138},
    }
).encode()
WORDS: Final = TEXT.split()
WANTED: Final = re.compile(rb"stream (\d+) pieces (\d+) every (\d+) phase (\d+|now)")
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def event(word: str | None) -> bytes:
    """One SSE event in one HTTP chunk, shaped as OpenAI's API shapes it."""
    delta = {} if word is None else {"content": " " + word}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if word is None else None}
    row = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return chunk(b"data: " + json.dumps({**row, "choices": [choice]}).encode() + b"\n\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENTS: Final = [event(word) for word in WORDS]
LAST: Final = event(None) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
WHOLE: Final = whole(SAID)
UNKNOWN: Final = whole(
    b'{"error":{"message":"no such route","type":"invalid_request_error","code":404}}', b"404 Not Found"
)
FIXED: Final = {b"/v1/models": whole(MODELS), b"/health": whole(b'{"status":"ok"}')}


class ModelServer(asyncio.Protocol):
    """One connection. Requests are taken one by one, as each peer sends them."""

    def __init__(self, stamps: memoryview) -> None:
        self._stamps, self._loop = stamps, asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url != b"/v1/chat/completions":
            self._transport.write(FIXED.get(self._url, UNKNOWN))
        elif (wanted := WANTED.search(self._body)) is None:
            self._transport.write(WHOLE)
        else:
            number, pieces, every = (int(group) for group in wanted.groups()[:3])
            self._begin(number, pieces, every / 1e6, wanted[4])
        if not self._parser.should_keep_alive():
            self._transport.close()

    def _begin(self, number: int, pieces: int, every: float, phase: bytes) -> None:
        self._transport.write(STREAM_HEAD)
        now = self._loop.time()
        if phase == b"now":
            self._piece(number, 0, pieces, every, now)
        else:  # on a grid that all streams share, moved by the phase
            at = (now // every + 1) * every + int(phase) / 1e6
            self._loop.call_at(at, self._piece, number, 0, pieces, every, at)

    def _piece(self, number: int, at: int, pieces: int, every: float, due: float) -> None:
        if self._transport.is_closing():
            return
        self._stamps[number % STREAMS * PIECES + at % PIECES] = time.monotonic_ns()
        self._transport.write(EVENTS[at % len(EVENTS)])
        if at + 1 == pieces:
            self._transport.write(LAST)
        else:
            self._loop.call_at(due + every, self._piece, number, at + 1, pieces, every, due + every)


def stamps_of(path: Path) -> memoryview:
    """The shared table of send times: nanoseconds of the monotonic clock at `stream * PIECES + piece`."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), STAMPS_BYTES)).cast("q")


async def main(port: int, stamps: Path) -> None:
    table = stamps_of(stamps)
    server = await asyncio.get_running_loop().create_server(
        lambda: ModelServer(table), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
