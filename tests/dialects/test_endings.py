"""What a server says of the end of a text, too early or without meaning it: cleaning is no weaker for it."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ProtocolError, UpstreamError
from remit.gateway.dialects import cleaned
from tests.dialects.cleaner import MASK, FakeCleaner, run
from tests.dialects.streams import LEFT, RECORDED, RIGHT, SECRET, block, chunk, lines, sse, start, stop
from tests.dialects.test_streams import events, reader, said

PIECES = ("so ", SECRET[:3], SECRET[3:9], SECRET[9:12], SECRET[12:], " it is")
ENDINGS = st.sampled_from(
    [None, "", "null", "stop", False, True, 0, 1, [], [1], {}, {"message": ""}, {"message": "odd"}]
)


def chat(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {**chunk({"content": text}, finish=end), "error": error}


def completion(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": text, "finish_reason": end}], "error": error}


def generate(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"response": text, "done": end, "error": error}


def ollama_chat(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"message": {"content": text}, "done": end, "error": error}


def llamacpp(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"index": 0, "content": text, "stop": end, "error": error}


def response(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "m", "delta": text, "done": end, "error": error}


def lmstudio(text: str, end: Any, error: Any) -> dict[str, Any]:
    return {"type": "message.delta", "content": text, "done": end, "error": error}


CHUNKS = {
    "openai.chat": chat,
    "openai.completions": completion,
    "openai.responses": response,
    "ollama.generate": generate,
    "ollama.chat": ollama_chat,
    "llamacpp.completion": llamacpp,
    "lmstudio.chat": lmstudio,
}


@pytest.mark.parametrize("name", CHUNKS)
@given(ends=st.lists(st.tuples(ENDINGS, ENDINGS), min_size=len(PIECES), max_size=len(PIECES)))
@settings(max_examples=60, deadline=None)
def test_no_value_of_an_ending_makes_cleaning_weaker(name: str, ends: list[tuple[Any, Any]]) -> None:
    rows = [CHUNKS[name](text, *end) for text, end in zip(PIECES, ends, strict=True)]
    stream = lines(*rows) if name.startswith("ollama") else sse(*rows)
    plain = [CHUNKS[name](text, None, None) for text in PIECES]
    plain_stream = lines(*plain) if name.startswith("ollama") else sse(*plain)
    out = said(reader(name), run(reader(name), stream, FakeCleaner(SECRET)))
    assert out == said(reader(name), run(reader(name), plain_stream, FakeCleaner(SECRET)))
    assert f"so {MASK} it is" in out


@pytest.mark.parametrize("end", ["", "stop"])
def test_a_secret_in_pieces_that_each_say_they_are_the_last(end: str) -> None:
    stream = sse(chunk({"content": LEFT}, finish=end), chunk({"content": RIGHT}, finish=end), done=True)
    out = run(reader("openai.chat"), stream, FakeCleaner(SECRET)).decode()
    assert LEFT not in out
    assert RIGHT not in out


def test_a_text_that_goes_on_after_others_followed_its_end_is_refused() -> None:
    stream_reader = reader("openai.chat")
    stream_reader.feed(sse(chunk({"content": LEFT}), chunk({}, finish="stop"), chunk({"content": "a"}, index=1)))
    with pytest.raises(UpstreamError):
        stream_reader.feed(sse(chunk({"content": RIGHT})))


def test_a_block_that_goes_on_after_its_end_is_refused() -> None:
    stream_reader = reader("anthropic.messages")
    stream_reader.feed(sse(block(0, type="text_delta", text=LEFT), stop(0)))
    with pytest.raises(UpstreamError):
        stream_reader.feed(sse(block(0, type="text_delta", text=RIGHT)))


def test_a_response_s_text_that_goes_on_after_its_end_is_refused() -> None:
    stream_reader = reader("openai.responses")
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", "delta": LEFT, **place}
    stream_reader.feed(sse(delta, {"type": "response.output_text.done", "text": LEFT, **place}))
    with pytest.raises(UpstreamError):
        stream_reader.feed(sse(delta))


def test_a_text_that_is_begun_anew_is_another_text() -> None:
    message = [{"type": "message.start"}, {"type": "message.delta", "content": "a gh"}, {"type": "message.end"}]
    out = events(run(reader("lmstudio.chat"), sse(*message, *message), FakeCleaner(SECRET)))
    assert "".join(event.get("content", "") for event in out) == "a gha gh"
    blocks = [start(0, type="text", text=""), block(0, type="text_delta", text="gh"), stop(0)]
    out = events(run(reader("anthropic.messages"), sse(*blocks, *blocks), FakeCleaner(SECRET)))
    assert "".join(event["delta"]["text"] for event in out if "delta" in event) == "ghgh"


def test_an_end_waits_for_a_bounded_number_of_events() -> None:
    stream_reader = reader("openai.chat")
    stream_reader.feed(sse(chunk({"content": "gh"}), chunk({}, finish="stop")))
    came = [event for _ in range(100) for event in stream_reader.feed(sse({"id": "1", "choices": []}))]
    assert len(came) > 80


def test_a_text_in_a_place_that_no_server_writes_is_refused() -> None:
    for place in ({"item_id": [1]}, {"item_id": 1}, {"output_index": "0"}, {"content_index": True}):
        with pytest.raises(UpstreamError):
            reader("openai.responses").feed(sse({"type": "response.output_text.delta", "delta": "a", **place}))


def test_two_places_are_never_one_text() -> None:
    one = {"type": "response.output_text.delta", "item_id": "a 1", "delta": "x"}
    other = {"type": "response.output_text.delta", "item_id": "a", "output_index": 1, "delta": "y"}
    got = reader("openai.responses").feed(sse(one, other))
    assert len({slot.key for event in got for slot in event.slots}) == 2


def test_a_context_that_is_no_list_of_numbers_does_not_pass() -> None:
    stream = lines({"response": "a", "done": True, "context": [1, SECRET]})
    assert SECRET not in run(reader("ollama.generate"), stream, FakeCleaner(SECRET)).decode()


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    [
        "type",
        "index",
        "delta",
        "content",
        "content_block",
        "text",
        "choices",
        "finish_reason",
        "message",
        "response",
        "thinking",
        "context",
        "done",
        "stop",
        "item_id",
        "output_index",
        "content_index",
        "summary_index",
        "command_index",
        "error",
        "tool_calls",
        "function",
        "arguments",
        "name",
        "usage",
        "input_tokens",
        "cache_read_input_tokens",
        "prompt_tokens_details",
        "logprobs",
        "tokens",
        "model",
        "id",
        "data",
        "sequence_number",
        "stats",
        "cache_creation",
    ]
)
WORDS = st.sampled_from(
    [
        "response.output_text.delta",
        "response.output_text.done",
        "message.delta",
        "message.end",
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_stop",
        "error",
        "text",
        "response.completed",
    ]
)
NEAR = st.dictionaries(
    FIELDS,
    st.recursive(
        ANY | WORDS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=5),
        max_leaves=9,
    ),
    min_size=1,
    max_size=7,
)


@pytest.mark.parametrize("name", RECORDED)
@given(rows=st.lists(NEAR, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_no_event_of_any_shape_fails_otherwise_than_as_the_server_s_fault(name: str, rows: list[Any]) -> None:
    stream = lines(*rows) if name.startswith("ollama") else sse(*rows)
    try:
        run(reader(name), stream, FakeCleaner(SECRET))
    except (UpstreamError, ProtocolError):
        return


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("kind", [[1], {}, {"a": 1}, 1, None])
def test_a_type_of_any_shape(name: str, kind: Any) -> None:
    row = {"type": kind, "delta": {"text": "a"}, "content": "b", "item_id": None}
    stream = lines(row) if name.startswith("ollama") else sse(row)
    run(reader(name), stream, FakeCleaner(SECRET))


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("field", ["delta", "content", "message", "choices", "error", "context"])
def test_numbers_and_depths_that_cannot_be_written_again(name: str, field: str) -> None:
    deep = '{"content":' * 900 + '""' + "}" * 900
    for inner in ("1e999", "[" * 700 + "]" * 700, deep, f'[{{"delta":{deep}}}]'):
        row = f'{{"type":"x","{field}":{inner}}}'
        stream_reader = reader(name)
        with contextlib.suppress(UpstreamError):  # or what can't be written is left out
            for event in stream_reader.feed(
                (row + "\n" if name.startswith("ollama") else f"data: {row}\n\n").encode()
            ):
                cleaned(event, FakeCleaner(SECRET))


def test_what_is_held_comes_before_the_chunk_that_ends_it_and_nothing_is_lost() -> None:
    rows = [chunk({"content": "a gh"}), chunk({}, finish="stop"), {"id": "1", "choices": [], "usage": {}}]
    out = events(run(reader("openai.chat"), sse(*rows, done=True), FakeCleaner(SECRET)))
    assert [json.dumps(event)[:20] for event in out][-1] == '"[DONE]"'
    assert out[1]["choices"][0]["delta"] == {"content": "gh"}
    assert out[2]["choices"][0]["finish_reason"] == "stop"
    assert out[3]["usage"] == {}
