"""The answer on its way back: whole, as a stream of events, or as text; nothing passes unread."""

from collections.abc import AsyncGenerator
from typing import Final

from remit.errors import ProtocolError, UpstreamError
from remit.gateway.call import Call
from remit.gateway.consider import Ask
from remit.gateway.dialects import TextCleaner, cleaned, returned
from remit.gateway.message import Head
from remit.gateway.reply_reader import ReplyHead
from remit.gateway.strict_json import dump, parse
from remit.gateway.upstream import Reply
from remit.gateway.zone import Zone
from remit.policy import Permit
from remit.redaction import ReplyText

MAX_REPLY_BYTES: Final = 64 << 20  # a whole (not streamed) answer; 8,192 embeddings of 1,024 numbers fit
EVENT_STREAMS: Final = ("text/event-stream", "application/x-ndjson")


async def read_back(
    answer: Reply, ask: Ask, permit: Permit, call: Call, zone: Zone
) -> AsyncGenerator[Head | bytes, None]:
    """The head of the reply, then its cleaned pieces; raises UpstreamError for an answer that can't be read."""
    head = answer.head
    if head.status == 401 and ask.workload.credential is not None:
        raise UpstreamError(f"{ask.workload.name} refused the key that Remit holds for it", hint="restart `remit up`")
    text = ReplyText(zone.scrubber, permit)
    call.status, call.answer_masked = head.status, text.counts
    kind = _content_type(head)
    headers = (*returned(head.headers), *call.headers(zone.snapshot))
    if kind.startswith(EVENT_STREAMS):
        yield Head(head.status, headers, streamed=True)
        async for piece in _events(answer, ask, text, call):
            yield piece
        return
    body = await answer.read(MAX_REPLY_BYTES)
    out = _json(body, ask, text, head.status) if _is_json(kind, body) else text.whole(_decoded(body)).encode()
    call.bytes_out = len(out)
    yield Head(head.status, headers, body=out)


async def _events(answer: Reply, ask: Ask, text: TextCleaner, call: Call) -> AsyncGenerator[bytes, None]:
    """Each read of the network becomes at most one piece: what of it is clear."""
    reader = ask.dialect.events(ask.route)
    async for data in answer:
        out = b"".join([cleaned(event, text) for event in reader.feed(data)])
        if out:
            call.chunks += 1
            call.bytes_out += len(out)
            yield out
    out = b"".join([cleaned(event, text) for event in reader.close()])
    if out:
        call.bytes_out += len(out)
        yield out


def _json(body: bytes, ask: Ask, text: ReplyText, status: int) -> bytes:
    try:
        value = parse(body)
    except ProtocolError as error:
        raise UpstreamError(f"{ask.workload.name} answered with JSON that can't be taken: {error}") from error
    value = text.json(value)
    if status < 400:
        value = ask.dialect.reply(ask.route, value, text.masked)
    return dump(value)


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _content_type(head: ReplyHead) -> str:
    return next((value.lower() for name, value in head.headers if name == "content-type"), "")


def _is_json(kind: str, body: bytes) -> bool:
    return kind.startswith("application/json") or (not kind and body[:1] in {b"{", b"["})
