"""Streams recorded from llama.cpp's own server (xllamacpp 2026.10.11549, SmolLM2): real clients' words survive."""

import json
from pathlib import Path

import pytest

from remit.gateway import routes
from remit.gateway.dialects import DIALECTS, StreamReader
from tests.dialects.cleaner import MASK, FakeCleaner, run

RECORDED = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
    "llamacpp.completion": "/completion",
}


def reader(name: str) -> StreamReader:
    route = routes.match(routes.profile("llama.cpp"), "POST", RECORDED[name])
    return DIALECTS[route.dialect].events(route)


def recorded(name: str) -> bytes:
    return (Path(__file__).parent / "recorded" / f"{name}.sse").read_bytes()


def said(name: str, stream: bytes) -> str:
    stream_reader = reader(name)
    events = [*stream_reader.feed(stream), *stream_reader.close()]
    return "".join(slot.text for event in events for slot in event.slots)


@pytest.mark.parametrize("name", RECORDED)
def test_a_real_stream_keeps_its_words_and_loses_what_it_should(name: str) -> None:
    stream = recorded(name)
    out = run(reader(name), stream, FakeCleaner("\x00never"))
    assert said(name, stream)
    assert said(name, out) == said(name, stream)
    assert out.count(b"\n\n") == stream.count(b"\n\n")
    for tell in (b"/opt/models", b'"timings"', b'"id_slot"', b'"tokens_evaluated"', b'"cached_tokens":3'):
        assert tell not in out


@pytest.mark.parametrize("name", RECORDED)
def test_any_word_of_a_real_stream_can_be_masked(name: str) -> None:
    text = said(name, recorded(name))
    secret = text[len(text) // 4 : len(text) * 3 // 4]
    out = run(reader(name), recorded(name), FakeCleaner(secret))
    assert said(name, out) == text.replace(secret, MASK)
    assert secret not in out.decode().replace("\\n", "\n")


def test_log_probabilities_of_a_real_stream_pass_while_nothing_is_found() -> None:
    out = run(reader("openai.chat"), recorded("openai.chat"), FakeCleaner("\x00never")).decode()
    rows = [json.loads(row[6:]) for row in out.splitlines() if row.startswith("data: {")]
    kept = [choice["logprobs"] for row in rows for choice in row["choices"] if choice.get("logprobs")]
    assert [token["token"] for logprobs in kept for token in logprobs["content"]]
    masked = run(reader("openai.chat"), recorded("openai.chat"), FakeCleaner("Hello")).decode()
    assert '"token":"Hello"' not in masked
