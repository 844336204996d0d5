"""Events known by the bytes around their text are cleaned and written exactly as if each had been parsed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import UpstreamError
from remit.gateway.dialects import StreamReader
from remit.gateway.dialects.alike import AlikeEvent
from tests.dialects.cleaner import FakeCleaner, passed
from tests.dialects.streams import chunk, sse
from tests.dialects.test_streams import reader

SECRET = "abcab"

TEXTS = st.sampled_from(
    [
        *("a", "b", "ab", "cab", "x abc", " ", "content", "delta", "remit-probe", "", ", ", ": "),
        *('say "hi"', "back\\slash", "line\nfeed", "Grüße", "\x7f🙂", "\ud800", "\u2028"),
    ]
)
FIELDS = st.sampled_from(["content", "content", "reasoning_content", "arguments"])
NAMES = st.sampled_from(["", "", "", "con", "tent"])
ENDS = st.sampled_from([None, None, None, None, "stop"])
MORE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {"logprobs": {"content": []}}, {"system_fingerprint": SECRET}, {"matched": "new"}]
)


def delta(field: str, name: str, text: str) -> dict[str, Any]:
    if field != "arguments":
        return {field: text}
    return {"tool_calls": [{"index": 0, "function": {**({"name": name} if name else {}), "arguments": text}}]}


@st.composite
def runs(draw: st.DrawFn) -> list[bytes]:
    """Some events of one kind, the last of which may say that the text ends."""
    field, name, index, more = draw(FIELDS), draw(NAMES), draw(st.integers(0, 1)), draw(MORE)
    texts, end = draw(st.lists(TEXTS, min_size=1, max_size=6)), draw(ENDS)
    ends = [*[None] * (len(texts) - 1), end]
    rows = [
        chunk(delta(field, name, text), index=index, finish=last, **more)
        for text, last in zip(texts, ends, strict=True)
    ]
    return [f"data: {json.dumps(row)}\n\n".encode() for row in rows]


def given_out(rows: list[bytes], to: StreamReader) -> tuple[bytes, str]:
    """What a caller gets of `rows`, fed as they are, and why the stream broke off, if it did."""
    cleaner = FakeCleaner(SECRET)
    out = b""
    try:
        for row in rows:
            out += passed(to.feed(row), cleaner)
        out += passed(to.close(), cleaner)
    except UpstreamError as error:
        return out, str(error)
    return out, ""


def alone(rows: list[bytes]) -> list[bytes]:
    """The same, byte by byte: so none is known by the bytes around its text."""
    return [bytes([byte]) for row in rows for byte in row]


def same_as_parsed(operation: str, rows: list[bytes]) -> bytes:
    """What a caller gets of `rows`, which is what each event parsed by itself would have given."""
    out = given_out(rows, reader(operation))
    assert out == given_out(alone(rows), reader(operation))
    return out[0]


@given(kinds=st.lists(runs() | st.just([b"data: [DONE]\n\n"]), max_size=8))
@settings(max_examples=400)
def test_events_that_are_alike_give_what_the_same_parsed_one_by_one_do(kinds: list[list[bytes]]) -> None:
    same_as_parsed("openai.chat", [row for kind in kinds for row in kind])


def told(operation: str, *events: Any) -> list[bool]:
    """Of each event whether it was known by the bytes around its text."""
    to, cleaner, known = reader(operation), FakeCleaner(SECRET), []
    for event in events:
        found = to.feed(sse(event))
        known.append(any(isinstance(each, AlikeEvent) for each in found))
        passed(found, cleaner)
    return known


def test_a_kind_of_event_is_known_once_it_was_read() -> None:
    said = [chunk({"content": text}) for text in ("a", "b", "c", "d", "e")]
    assert told("openai.chat", *said)[-2:] == [True, True]
    kind = "content_block_delta"
    blocks = [(kind, {"type": kind, "index": 0, "delta": {"type": "text_delta", "text": t}}) for t in "abcde"]
    assert told("anthropic.messages", *blocks)[-2:] == [True, True]


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x00", ""])
def test_a_text_that_doesn_t_stand_for_itself_is_parsed(text: str) -> None:
    said = [chunk({"content": text}) for text in ("a", "b", "c", "d")]
    assert told("openai.chat", *said, chunk({"content": text}))[-2:] == [True, False]


@pytest.mark.parametrize("text", [",", ":", ", ", ": ", "},{", ":[{"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_text_that_also_stands_between_the_fields_is_a_text_like_any_other(
    text: str, separators: tuple[str, str]
) -> None:
    for said in (["Hello", text, " world"], ["a", "Hello", text, " world"], [*"abc", text, *"de"]):
        events = [json.dumps(chunk({"content": one}), separators=separators) for one in said]
        rows = [f"data: {event}\n\n".encode() for event in events]
        assert given_out(rows, reader("openai.chat"))[1] == ""
        same_as_parsed("openai.chat", rows)


def test_bytes_that_are_no_utf_8_are_read_as_ever() -> None:
    to, cleaner = reader("openai.chat"), FakeCleaner(SECRET)
    for text in "abcd":
        passed(to.feed(sse(chunk({"content": text}))), cleaner)
    assert "\ufffd".encode() in passed(to.feed(sse(chunk({"content": "x"})).replace(b'"x"', b'"\xff"')), cleaner)


def test_a_secret_over_events_that_are_alike_does_not_pass() -> None:
    events = [sse(chunk({"content": text})) for text in ("x", "y", "z", "w", *SECRET, "v")]
    out, broke = given_out(events, reader("openai.chat"))
    assert not broke
    said = "".join(
        json.loads(line[6:])["choices"][0]["delta"]["content"] for line in out.decode().split("\n\n") if line
    )
    assert said == "xyzw[masked]v"


def test_an_event_within_another_line_is_not_taken_for_one() -> None:
    rows = [sse(chunk({"content": text})) for text in "abcdef"]
    for before in (b":", b"data: ", b"data: {\n", b"x"):
        same_as_parsed("openai.chat", [*rows, before, rows[0]])


def test_a_field_given_twice_is_known_by_the_one_that_counts() -> None:
    rows = [
        sse(chunk({"content": "X"})).replace(b'"X"', b'"%b", "content": "\\u00%02x"' % (text, text[0]))
        for text in (b"a", b"b", b"c", b"d", SECRET.encode())
    ]
    assert SECRET.encode() not in same_as_parsed("openai.chat", rows)


def test_a_text_that_stands_elsewhere_too_is_not_mistaken_for_that() -> None:
    rows = [sse({**chunk({"content": "X"}), "model": "b"}).replace(b'"X"', b'"\\u0062"') for _ in range(6)]
    other = sse({**chunk({"content": "X"}), "model": "c"}).replace(b'"X"', b'"\\u0062"')
    same_as_parsed("openai.chat", [*rows, other])


def test_a_tools_name_in_pieces_is_judged_whole_also_beside_pieces_seen_before() -> None:
    rows = [sse(chunk(delta("arguments", name, "x"))) for name in ("ab", "ab", "ab", "ab", "abc", "ab")]
    assert SECRET not in same_as_parsed("openai.chat", rows).decode()


@pytest.mark.parametrize("known", [1, 6])
def test_a_secret_that_done_would_cut_does_not_pass(known: int) -> None:
    rows = [sse(chunk({"content": text})) for text in "xyzxyz"[:known]]
    left, right = (sse(chunk({"content": text})) for text in (SECRET[:2], SECRET[2:]))
    rows += [left, b"data: [DONE]\n\n", right]
    assert b'"c"' not in same_as_parsed("openai.chat", rows)
    assert "it had ended" in given_out(rows, reader("openai.chat"))[1]


def test_a_text_that_had_ended_does_not_go_on() -> None:
    kind = "content_block_delta"
    piece = sse((kind, {"type": kind, "index": 0, "delta": {"type": "text_delta", "text": "a"}}))
    stop = sse(("content_block_stop", {"type": "content_block_stop", "index": 0}))
    _, broke = given_out([piece] * 5 + [stop, piece], reader("anthropic.messages"))
    assert "it had ended" in broke
