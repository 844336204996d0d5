"""A model server that misbehaves when its prompt tells it to, and keeps count of what reached it and who cut whom."""

import asyncio
import threading
from typing import Any, ClassVar

from tests.fakes.model_server import Answer, Handler, OpenAiRoutes, Received, last, serve

ENDLESS = 100_000


class FakeAwkwardServer(OpenAiRoutes):
    """An OpenAI server. The first word of a prompt says how it ends; any other prompt is answered as it should be.

    `die` breaks off in the middle of the answer, `refuse` before its head, `silent` never answers, `hang` stops in
    the middle without closing, `endless` streams until it is cut, `garbage` answers what is not HTTP.
    """

    words: ClassVar[frozenset[str]] = frozenset({"die", "refuse", "silent", "hang", "endless", "garbage"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cut = threading.Semaphore(0)
        """Released each time the other side closed a connection in the middle of an answer."""

    def routes(self) -> dict[tuple[str, str], Handler]:
        return self.openai_routes()

    def prompts(self) -> list[str]:
        """The prompt of every chat that arrived, in order."""
        return [last(got.json["messages"]) for got in tuple(self.requests) if got.path == "/v1/chat/completions"]

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await self._read(reader)) is not None:
                self.requests.append(request)
                word = _word(request)
                if word in self.words:
                    await self._misbehave(word, reader, writer, request)
                    break
                if not await self._write(writer, request, self.handle(request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _misbehave(
        self, word: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Received
    ) -> None:
        try:
            if word in {"die", "hang", "endless"}:
                answer = self.handle(request)
                await self._some_of(writer, answer, ENDLESS if word == "endless" else 3, reader)
            if word == "garbage":
                writer.write(b"220 smtp.example ESMTP\r\n")
                await writer.drain()
            if word in {"silent", "hang", "endless"}:
                await reader.read()
        finally:  # also when the other side resets the connection
            if word in {"silent", "hang", "endless"}:
                self.cut.release()
            writer.transport.abort()

    async def _some_of(
        self, writer: asyncio.StreamWriter, answer: Answer, count: int, reader: asyncio.StreamReader
    ) -> None:
        """The head and `count` pieces of an answer that says it is longer; ends when the other side is gone."""
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: {answer.kind}\r\n"
        if not answer.pieces:
            writer.write(f"{head}Content-Length: {len(answer.body) + 9}\r\n\r\n".encode() + answer.body)
            await writer.drain()
            return
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        pieces = answer.pieces[:-2]  # without the last event and `[DONE]`
        for number in range(count):
            piece = pieces[number % len(pieces)]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            if reader.at_eof():
                return
            await asyncio.sleep(0.01)


def _word(request: Received) -> str:
    if request.path != "/v1/chat/completions" or not isinstance(request.json, dict):
        return ""
    return last(request.json["messages"]).split(" ")[0]


if __name__ == "__main__":
    serve(FakeAwkwardServer, 0)
