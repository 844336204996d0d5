"""What stock clients make of a cleaned stream: the held-back ends arrive where their accumulators look for them."""

import json
from typing import Any

import anthropic
import ollama
import openai
import pytest

from remit.gateway import routes
from remit.gateway.dialects import DIALECTS, Refusal
from tests.dialects.cleaner import MASK, FakeCleaner, run
from tests.dialects.streams import RECORDED, SECRET
from tests.fakes.model_server import Answer, FakeModelServer, Handler

USER: Any = [{"role": "user", "content": "hi"}]


class FakeGateway(FakeModelServer):
    """Answers every POST with one cleaned stream."""

    def __init__(self, name: str, end: bytes = b"") -> None:
        super().__init__()
        recorded = RECORDED[name]
        route = routes.match(routes.profile(recorded.server), "POST", recorded.path)
        body = run(DIALECTS[route.dialect].events(route), recorded.stream, FakeCleaner(SECRET))
        kind = "application/x-ndjson" if name.startswith("ollama") else "text/event-stream"
        self.answer = Answer(kind=kind, pieces=(end or body,))

    def routes(self) -> dict[tuple[str, str], Handler]:
        paths = (
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/messages",
            "/api/chat",
            "/api/generate",
        )
        return {("POST", path): lambda _: self.answer for path in paths}


def test_openai_chat_with_tools_and_two_choices() -> None:
    with FakeGateway("openai.chat") as server, openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client:
        texts: dict[int, str] = {}
        arguments = ""
        for chunk in client.chat.completions.create(model="m", messages=USER, stream=True):
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
                for call in choice.delta.tool_calls or ():
                    arguments += (call.function.arguments or "") if call.function else ""
    assert texts == {0: f"Grüße 🙂 {MASK} is it", 1: f"the key is {MASK}. ends in gh"}
    assert json.loads(arguments) == {"a": MASK}


def test_openais_own_accumulator() -> None:
    with (
        FakeGateway("openai.chat") as server,
        openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client,
        client.chat.completions.stream(model="m", messages=USER) as stream,
    ):
        final = stream.get_final_completion()
    assert final.choices[1].message.content == f"the key is {MASK}. ends in gh"
    assert final.choices[0].message.tool_calls
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"a": "' + MASK + '"}'


def test_openai_responses() -> None:
    with FakeGateway("openai.responses") as server, openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client:
        events = list(client.responses.create(model="m", input="hi", stream=True))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    done = next(event.text for event in events if event.type == "response.output_text.done")
    assert said == done == f"so {MASK} is it gh"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == said


def test_anthropic_messages() -> None:
    with (
        FakeGateway("anthropic.messages") as server,
        anthropic.Anthropic(base_url=server.url, api_key="x") as client,
        client.messages.stream(model="m", max_tokens=9, messages=USER) as stream,
    ):
        final: Any = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    assert final.content[0].thinking == f"hm {MASK}"
    assert final.content[1].text == f"it is {MASK}, ends gh"
    assert final.content[2].input == {"k": MASK}


def test_ollama_chat() -> None:
    with FakeGateway("ollama.chat") as server, ollama.Client(host=server.url) as client:
        parts = list(client.chat("m", USER, stream=True))
    assert "".join(part.message.content or "" for part in parts) == f"it is {MASK}, ends gh"
    assert "".join(part.message.thinking or "" for part in parts) == f"hm {MASK} g"


STOPPED = Refusal(403, "stopped", "the answer was stopped", decision_id="01J")


def test_clients_raise_what_ends_a_stream() -> None:
    end = DIALECTS["openai"].stream_error(STOPPED)
    with FakeGateway("openai.chat", end) as server, openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client:
        chunks = client.chat.completions.create(model="m", messages=USER, stream=True)
        with pytest.raises(openai.APIError, match="the answer was stopped"):
            list(chunks)
    end = DIALECTS["anthropic"].stream_error(STOPPED)
    with (
        FakeGateway("anthropic.messages", end) as server,
        anthropic.Anthropic(base_url=server.url, api_key="x") as other,
    ):
        events = other.messages.create(model="m", max_tokens=9, messages=USER, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="the answer was stopped"):
            list(events)
    end = DIALECTS["ollama"].stream_error(STOPPED)
    with FakeGateway("ollama.chat", end) as server, ollama.Client(host=server.url) as third:
        parts = third.chat("m", USER, stream=True)
        with pytest.raises(ollama.ResponseError, match="the answer was stopped"):
            list(parts)
