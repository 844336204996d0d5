"""The answer on its way back: whole, as a stream of events, or as text; nothing passes unread."""

import re
from collections.abc import Awaitable, Sequence
from typing import Final

from remit.errors import ProtocolError, UpstreamError
from remit.gateway.call import Call
from remit.gateway.consider import Ask
from remit.gateway.dialects import Cleanable, TextCleaner, cleaned, returned
from remit.gateway.message import Head, Headers
from remit.gateway.outlay import paid
from remit.gateway.reply_reader import ReplyHead
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.strict_json import dump, read
from remit.gateway.upstream import Reply
from remit.gateway.zone import Zone
from remit.policy import Permit
from remit.redaction import ReplyText

MAX_REPLY_BYTES: Final = 64 << 20  # a whole (not streamed) answer; 8,192 embeddings of 1,024 numbers fit
EVENT_STREAMS: Final = ("text/event-stream", "application/x-ndjson")
JSON: Final = "application/json"
_BODILESS: Final = frozenset({204, 304})
_TEXT: Final = re.compile(r"text/[a-z0-9!#$&^_.+-]{1,64}\Z")  # RFC 6838 section 4.2
_UTF_8: Final = frozenset({"", "utf-8", "utf8"})
_BOM: Final = b"\xef\xbb\xbf"


async def read_back(answer: Reply, ask: Ask, permit: Permit, call: Call, zone: Zone, reply: ReplyWriter) -> None:
    """Passes on the head of the answer, then its cleaned pieces; raises UpstreamError for one that can't be read."""
    head = answer.head
    if head.status == 401 and ask.workload.credential is not None:
        raise UpstreamError(f"{ask.workload.name} refused the key that Remit holds for it", hint="restart `remit up`")
    text = ReplyText(zone.scrubber, permit)
    call.status, call.answer_masked = head.status, text.counts
    if call.outlay is not None:
        call.outlay.answered(head.status)
    headers = (*returned(head.headers), *call.headers(zone.snapshot))
    if ask.route.method == "HEAD" or head.status in _BODILESS:
        reply.head(Head(head.status, headers, body=b""))
        return
    kind = _media_type(head)
    if kind in EVENT_STREAMS:
        reply.head(Head(head.status, (*headers, ("content-type", kind)), streamed=True))
        await _events(answer, ask, text, call, reply)
        return
    body = await answer.read(MAX_REPLY_BYTES)
    if call.outlay is not None and (room := call.outlay.came(len(body))) is not None:
        await room
    if not body:
        reply.head(Head(head.status, headers, body=b""))
        return
    out, said = _whole(body, kind, ask, text, call)
    call.bytes_out = len(out)
    if call.outlay is not None:
        await call.outlay.done()
    reply.head(Head(head.status, (*headers, ("content-type", said)), body=out))


def _whole(body: bytes, kind: str, ask: Ask, text: ReplyText, call: Call) -> tuple[bytes, str]:
    """The cleaned body and its content type: a client must read it as it was read here."""
    if _is_json(kind, body):
        return _json(body, ask, text, call), JSON
    if ask.asked.stream and call.status is not None and call.status < 400:
        raise UpstreamError(f"{ask.workload.name} answered with text where a stream of events was asked for")
    if _TEXT.match(kind) is None:
        if kind and ask.route.reply != "text":
            raise UpstreamError(f"{ask.workload.name} answered with a content type that can't be examined")
        kind = "text/plain"
    return text.whole(_decoded(body)).encode(), f"{kind}; charset=utf-8"


async def _events(answer: Reply, ask: Ask, text: TextCleaner, call: Call, reply: ReplyWriter) -> None:
    """Each read of the network becomes at most one piece: what of it is clear."""
    reader = ask.dialect.events(ask.route)

    def pass_on(data: bytes) -> Awaitable[None] | None:
        events = reader.feed(data)
        if call.outlay is not None:
            return paid(call.outlay, len(data), events, write)
        return write(events)

    def write(events: Sequence[Cleanable]) -> Awaitable[None] | None:
        out = b"".join([cleaned(event, text) for event in events])
        if not out:
            return None
        call.chunks += 1
        call.bytes_out += len(out)
        return reply.write(out)

    await answer.pour(pass_on)
    out = b"".join([cleaned(event, text) for event in reader.close()])
    if out:
        call.bytes_out += len(out)
        await reply.piece(out)
    if call.outlay is not None:
        await call.outlay.done()


def _json(body: bytes, ask: Ask, text: ReplyText, call: Call) -> bytes:
    try:
        value = text.json(read(body))
    except ProtocolError as error:
        raise UpstreamError(f"{ask.workload.name} answered with JSON that can't be taken: {error}") from error
    if call.outlay is not None:
        call.outlay.tells(value)
    if call.status is not None and call.status < 400:
        value = ask.dialect.reply(ask.route, value, text.masked)
    return dump(value)


def _decoded(body: bytes) -> str:
    """Text as every client reads it; NUL bytes mean that another one could read UTF-16 in it."""
    if b"\0" in body:
        raise UpstreamError("the model server's answer is not text in UTF-8")
    return body.decode("utf-8", "replace")


def _media_type(head: ReplyHead) -> str:
    """`type/subtype` in lower case, empty if absent; raises UpstreamError for a coding or charset not read here."""
    if _only(head.headers, "content-encoding").lower() not in {"", "identity"}:
        raise UpstreamError("the model server's answer is compressed, which nobody asked for")
    kind, *parameters = _only(head.headers, "content-type").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF_8:
            raise UpstreamError("the model server's answer is in a charset other than utf-8")
    return kind.strip()


def _only(headers: Headers, name: str) -> str:
    values = [value for each, value in headers if each == name]
    if len(values) > 1:
        raise UpstreamError(f"the model server's answer has the header `{name}` twice")
    return values[0].strip() if values else ""


def _is_json(kind: str, body: bytes) -> bool:
    """Whether it says so or a client would try: an escape hides in JSON what stands open in text."""
    start = body.removeprefix(_BOM).lstrip()[:1]
    return kind in {JSON, "text/json"} or kind.endswith("+json") or start in {b"{", b"["}
