"""Framing alone: what the standard says of fields, comments, byte order marks and line ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.gateway.ndjson import LineParser
from remit.gateway.sse import SseEvent, SseParser, encode


def parsed(stream: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [*parser.feed(stream), *parser.close()]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [("", "a")]),
        (b"data:a\n\n", [("", "a")]),
        (b"data:  a\n\n", [("", " a")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"event: e\ndata: a\n\n", [("e", "a")]),
        (b"data: a\nevent: e\n\n", [("e", "a")]),
        (b"id: 1\nretry: 5\ndata: a\n\n", [("", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        (b"\n\n\ndata: a\n\n\n\n", [("", "a")]),
        (b": comment\n\n", [("", "")]),
        (b": comment\ndata: a\n\n", [("", "a")]),
        (b"event: e\n\n", []),
        (b"unknown: x\ndata\n\n", [("", "")]),
        (b"data: a\r\rdata: b\r\n\r\n", [("", "a"), ("", "b")]),
        (b"data: a", [("", "a")]),
        (b"", []),
    ],
)
def test_events_are_read_as_the_standard_says(stream: bytes, events: list[tuple[str, str]]) -> None:
    assert parsed(stream) == events
    parser = SseParser()
    cut = [event for place in range(len(stream)) for event in parser.feed(stream[place : place + 1])]
    assert [*cut, *parser.close()] == events


@given(st.from_regex(r"[a-z.]*", fullmatch=True), st.text(st.characters(codec="utf-8"), min_size=1).map(str.strip))
def test_what_is_written_is_read_again(name: str, data: str) -> None:
    data = data.replace("\r", "")
    if data:
        assert parsed(encode(name, data)) == [(name, data)]


@given(st.binary(max_size=80), st.integers(0, 80))
def test_lines_are_the_same_however_they_are_cut(data: bytes, cut: int) -> None:
    whole, parts = LineParser(), LineParser()
    expected = [*whole.feed(data), *whole.close()]
    assert [*parts.feed(data[:cut]), *parts.feed(data[cut:]), *parts.close()] == expected
