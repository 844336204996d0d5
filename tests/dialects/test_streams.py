"""Streamed answers: the same events however the bytes are cut, no secret in them, and nothing lost of the rest."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import UpstreamError
from remit.gateway import routes
from remit.gateway.dialects import DIALECTS, Refusal, StreamReader
from tests.dialects.cleaner import MASK, FakeCleaner, run
from tests.dialects.streams import LEFT, RECORDED, RIGHT, SECRET, chunk, lines, sse, typed

NEVER = "\x00never"


def reader(name: str) -> StreamReader:
    recorded = RECORDED[name]
    route = routes.match(routes.profile(recorded.server), "POST", recorded.path)
    assert route.operation == name
    return DIALECTS[route.dialect].events(route)


def events(stream: bytes) -> list[Any]:
    """The JSON of each event, as a client would parse it."""
    text = stream.decode()
    if "data: " not in text:
        return [json.loads(line) for line in text.splitlines()]
    rows = [row.removeprefix("data: ") for row in text.split("\n") if row.startswith("data: ")]
    return [row if row == "[DONE]" else json.loads(row) for row in rows]


def everything(name: str) -> str:
    """All running text of the recorded stream, by key, in order: what a client would have shown."""
    return said(reader(name), RECORDED[name].stream)


def said(stream_reader: StreamReader, stream: bytes) -> str:
    texts: dict[str, str] = {}
    for event in [*stream_reader.feed(stream), *stream_reader.close()]:
        for slot in event.slots:
            texts[slot.key] = texts.get(slot.key, "") + slot.text
    return json.dumps(texts, sort_keys=True)


@pytest.mark.parametrize("name", RECORDED)
def test_a_stream_without_findings_keeps_its_words(name: str) -> None:
    out = run(reader(name), RECORDED[name].stream, FakeCleaner(NEVER))
    assert said(reader(name), out) == everything(name)


@pytest.mark.parametrize("name", RECORDED)
def test_a_secret_cut_across_events_does_not_pass(name: str) -> None:
    stream = RECORDED[name].stream
    out = run(reader(name), stream, FakeCleaner(SECRET))
    assert said(reader(name), out) == everything(name).replace(SECRET, MASK)
    assert SECRET not in out.decode()
    assert RIGHT not in out.decode()
    assert LEFT not in out.decode()


@pytest.mark.parametrize("name", RECORDED)
def test_a_stream_cut_at_any_byte_gives_the_same_answer(name: str) -> None:
    stream = RECORDED[name].stream
    whole = run(reader(name), stream, FakeCleaner(SECRET))
    for cut in range(1, len(stream)):
        assert run(reader(name), stream, FakeCleaner(SECRET), (cut,)) == whole


@given(data=st.data(), name=st.sampled_from(list(RECORDED)), ending=st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=150, deadline=None)
def test_a_stream_cut_anywhere_with_any_line_ends(data: st.DataObject, name: str, ending: bytes) -> None:
    stream = RECORDED[name].stream
    whole = run(reader(name), stream, FakeCleaner(SECRET))
    if not name.startswith("ollama") or ending != b"\r":
        stream = stream.replace(b"\n", ending)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    assert run(reader(name), stream, FakeCleaner(SECRET), tuple(sorted(cuts))) == whole


@pytest.mark.parametrize("name", RECORDED)
def test_one_byte_at_a_time(name: str) -> None:
    stream = RECORDED[name].stream
    whole = run(reader(name), stream, FakeCleaner(SECRET))
    assert run(reader(name), stream, FakeCleaner(SECRET), tuple(range(1, len(stream)))) == whole


@pytest.mark.parametrize("name", RECORDED)
def test_what_tells_of_the_cache_is_taken_out(name: str) -> None:
    out = run(reader(name), RECORDED[name].stream, FakeCleaner(NEVER)).decode()
    for tell in ("timings", "tokens_cached", "id_slot", "prompt_eval_duration", "time_to_first_token"):
        assert tell not in out
    for tell in ("cached_tokens", "cache_read_input_tokens"):
        assert f'"{tell}":0' in out or tell not in out


def test_held_text_of_a_chat_comes_before_the_chunk_that_finishes_it() -> None:
    out = events(run(reader("openai.chat"), RECORDED["openai.chat"].stream, FakeCleaner(SECRET)))
    choices = [choice for event in out if event != "[DONE]" for choice in event["choices"] if choice["index"] == 1]
    assert choices[-1]["finish_reason"] == "stop"
    assert choices[-2] == {"index": 1, "delta": {"content": "gh"}, "finish_reason": None}


def test_held_arguments_of_a_tool_keep_their_place() -> None:
    stream = sse(chunk({"tool_calls": [{"index": 3, "function": {"arguments": "gh"}}]}), chunk({}, finish="stop"))
    out = events(run(reader("openai.chat"), stream, FakeCleaner(SECRET)))
    delta = out[1]["choices"][0]["delta"]
    assert delta == {"tool_calls": [{"index": 3, "function": {"arguments": "gh"}}]}


def test_held_text_of_a_message_comes_before_its_block_stops() -> None:
    out = events(run(reader("anthropic.messages"), RECORDED["anthropic.messages"].stream, FakeCleaner(SECRET)))
    stops = [place for place, event in enumerate(out) if event["type"] == "content_block_stop"]
    flushed = {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "gh"}}
    assert out[stops[1] - 1] == flushed


def test_held_text_of_ollama_is_in_the_last_line_or_the_one_before() -> None:
    out = events(run(reader("ollama.chat"), RECORDED["ollama.chat"].stream, FakeCleaner(SECRET)))
    assert out[-1]["message"]["content"] == "gh"
    assert out[-1]["done"] is True
    assert out[-2]["message"] == {"role": "assistant", "content": "", "thinking": "g"}


def test_added_events_of_a_response_leave_no_gap_in_the_numbers() -> None:
    out = events(run(reader("openai.responses"), RECORDED["openai.responses"].stream, FakeCleaner(SECRET)))
    assert [event["sequence_number"] for event in out] == list(range(len(out)))
    assert len(out) == 12


def test_text_is_flushed_before_done_and_when_a_stream_just_ends() -> None:
    for end in (b"data: [DONE]\n\n", b""):
        out = events(run(reader("openai.chat"), sse(chunk({"content": "gh"})) + end, FakeCleaner(SECRET)))
        assert out[1]["choices"][0]["delta"] == {"content": "gh"}


def test_a_last_event_that_was_cut_off_is_left_out() -> None:
    stream = sse(chunk({"content": "a"})) + b'data: {"choices": [{"delta": {"content": "' + SECRET.encode()
    out = run(reader("openai.chat"), stream, FakeCleaner(NEVER))
    assert events(out) == events(sse(chunk({"content": "a"})))
    half = lines({"message": {"content": "a"}}) + b'{"message": {"content": "' + SECRET.encode()
    assert SECRET.encode() not in run(reader("ollama.chat"), half, FakeCleaner(NEVER))


def test_a_last_line_without_its_end_counts() -> None:
    stream = RECORDED["ollama.chat"].stream
    whole = run(reader("ollama.chat"), stream, FakeCleaner(SECRET))
    assert run(reader("ollama.chat"), stream[:-1], FakeCleaner(SECRET)) == whole


def test_a_field_given_twice_cannot_carry_what_was_not_seen() -> None:
    stream = b'data: {"choices": [{"index": 0, "delta": {"content": "%s", "content": "ok"}}]}\n\n' % SECRET.encode()
    assert SECRET.encode() not in run(reader("openai.chat"), stream, FakeCleaner(SECRET))


def test_a_tools_name_in_pieces_is_judged_whole() -> None:
    stream = sse(chunk(tool(name=LEFT)), chunk(tool(name=RIGHT)), chunk({}, finish="tool_calls"))
    out = run(reader("openai.chat"), stream, FakeCleaner(SECRET)).decode()
    assert RIGHT not in out


def tool(**function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": function}]}


def test_log_probabilities_pass_only_beside_the_text_they_spell() -> None:
    def logprobs(*tokens: str) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": -0.1} for token in tokens]}

    same = chunk({"content": "a b"}, logprobs=logprobs("a", " b"))
    ahead = chunk({"content": ""}, logprobs=logprobs(LEFT))
    held = chunk({"content": LEFT}, logprobs=logprobs(LEFT))
    out = events(run(reader("openai.chat"), sse(same, ahead, held), FakeCleaner(SECRET)))
    kept = [event["choices"][0].get("logprobs") for event in out]
    assert kept[0] == logprobs("a", " b")
    assert kept[1:3] == [None, None]


def test_log_probabilities_of_a_response_pass_only_beside_the_text_they_spell() -> None:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    same = typed(0, "response.output_text.delta", delta="a b", logprobs=[{"token": "a"}, {"token": " b"}], **place)
    ahead = typed(1, "response.output_text.delta", delta="", logprobs=[{"token": LEFT}], **place)
    held = typed(2, "response.output_text.delta", delta=LEFT, logprobs=[{"token": LEFT}], **place)
    out = events(run(reader("openai.responses"), sse(same, ahead, held), FakeCleaner(SECRET)))
    assert [bool(event.get("logprobs")) for event in out[:3]] == [True, False, False]


def test_ollamas_context_goes_once_something_was_masked() -> None:
    stream = RECORDED["ollama.generate"].stream
    assert "context" in events(run(reader("ollama.generate"), stream, FakeCleaner(NEVER)))[-1]
    assert "context" not in events(run(reader("ollama.generate"), stream, FakeCleaner(SECRET)))[-1]


def test_comments_keep_a_connection_alive_and_say_nothing() -> None:
    out = run(reader("openai.chat"), f": {SECRET}\n\n".encode(), FakeCleaner(NEVER))
    assert out == b":\n\n"


@pytest.mark.parametrize("data", ["hello", '"text"', "[1]", "NaN", '{"a": NaN}', "{", "{}", "[" * 5000 + "]" * 5000])
def test_an_event_that_is_no_object_ends_the_stream(data: str) -> None:
    with pytest.raises(UpstreamError):
        reader("openai.chat").feed(f"data: {data}\n\n".encode())


def test_an_event_without_end_is_not_kept() -> None:
    stream_reader = reader("openai.chat")
    for _ in range(16):
        stream_reader.feed(b"data: " + b"x" * 1_000_000)
    with pytest.raises(UpstreamError):
        stream_reader.feed(b"x" * 1_000_000)


def test_lone_surrogates_survive() -> None:
    stream = rb'data: {"choices": [{"index": 0, "delta": {"content": "\ud83d"}}]}' + b"\n\n"
    assert (
        events(run(reader("openai.chat"), stream, FakeCleaner(NEVER)))[0]["choices"][0]["delta"]["content"]
        == "\ud83d"
    )


def test_a_models_path_is_reduced_to_its_name() -> None:
    event = {**chunk({"content": "a"}), "model": "/home/ada/models/tiny.gguf"}
    assert events(run(reader("openai.chat"), sse(event), FakeCleaner(NEVER)))[0]["model"] == "tiny.gguf"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(f"x{SECRET}y"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "delta", "choices", "content", "text", "name", "index", "message", SECRET, "odd"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(name=st.sampled_from(list(RECORDED)), odd=st.lists(st.dictionaries(st.text(max_size=4), values), max_size=3))
@settings(max_examples=300, deadline=None)
def test_no_event_of_any_shape_carries_a_secret(name: str, odd: list[dict[str, Any]]) -> None:
    rows = [row for row in odd if row]
    stream = lines(*rows) if name.startswith("ollama") else sse(*rows)
    out = run(reader(name), stream, FakeCleaner(SECRET)).decode()
    assert SECRET not in out


@given(name=st.sampled_from(list(RECORDED)), junk=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_events_or_a_clear_error(name: str, junk: bytes) -> None:
    with contextlib.suppress(UpstreamError):
        run(reader(name), junk, FakeCleaner(NEVER))


@pytest.mark.parametrize("name", RECORDED)
def test_an_error_after_the_beginning_can_be_read_as_the_dialects_own(name: str) -> None:
    refusal = Refusal(403, "masked-stream", "the answer was stopped", hint="ask ada", decision_id="01J", rule="r")
    raw = DIALECTS[name.partition(".")[0]].stream_error(refusal)
    (event,) = events(raw)
    error = event["error"]
    assert "the answer was stopped" in (error if isinstance(error, str) else error["message"])
    assert "ask ada" in raw.decode()
