"""Whole answers: what tells of the cache or spells masked text is gone; refusals have the dialect's own shape."""

import json
from typing import Any

import pytest

from remit.gateway import routes
from remit.gateway.dialects import DIALECTS, Refusal
from remit.gateway.routes import Route

REFUSAL = Refusal(
    403, "no-permit", "no policy permits it", "ask ada", "01JD9Q7", "starter", ("starter (starter.cedar:31)",)
)


def route(server: str, path: str, method: str = "POST") -> Route:
    return routes.match(routes.profile(server), method, path)


def reply(server: str, path: str, value: Any, *, masked: bool = False, method: str = "POST") -> Any:
    found = route(server, path, method)
    return DIALECTS[found.dialect].reply(found, value, masked)


def test_a_chat_answer_does_not_tell_of_the_cache() -> None:
    answer = {
        "choices": [{"message": {"content": "a"}, "logprobs": {"content": []}}],
        "model": "/opt/models/tiny.gguf",
        "timings": {"cache_n": 31},
        "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}},
    }
    assert reply("llama.cpp", "/v1/chat/completions", answer) == {
        "choices": [{"message": {"content": "a"}, "logprobs": {"content": []}}],
        "model": "tiny.gguf",
        "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 0}},
    }


def test_token_ids_and_log_probabilities_go_when_something_was_masked() -> None:
    answer = {
        "prompt_token_ids": [1],
        "choices": [
            {
                "token_ids": [1, 2],
                "logprobs": {"content": [{"token": "gh"}]},
                "message": {"tool_calls": [{"function": {"arguments": {"tokens": [1]}}}]},
            }
        ],
    }
    assert reply("vllm", "/v1/chat/completions", answer, masked=True) == {
        "choices": [{"logprobs": None, "message": {"tool_calls": [{"function": {"arguments": {"tokens": [1]}}}]}}],
    }


def test_each_servers_own_tells_are_gone() -> None:
    for server, path, answer in (
        ("llama.cpp", "/completion", {"content": "a", "tokens_cached": 1, "tokens_evaluated": 2, "id_slot": 0}),
        ("ollama", "/api/chat", {"content": "a", "prompt_eval_duration": 5}),
        ("vllm", "/v1/chat/completions", {"content": "a", "kv_transfer_params": {}, "metrics": {}}),
    ):
        assert reply(server, path, answer) == {"content": "a"}
    stats = {"stats": {"time_to_first_token": 0.1, "tokens_per_second": 5}}
    assert reply("lmstudio", "/api/v0/chat/completions", stats) == {"stats": {"tokens_per_second": 5}}
    usage = {"usage": {"input_tokens": 1, "cache_read_input_tokens": 5, "cache_creation": {"ephemeral_5m": 3}}}
    hidden = {"usage": {"input_tokens": 6, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m": 0}}}
    assert reply("llama.cpp", "/v1/messages", usage) == hidden


def test_ollamas_context_goes_when_something_was_masked() -> None:
    assert "context" in reply("ollama", "/api/generate", {"response": "a", "context": [1]})
    assert "context" not in reply("ollama", "/api/generate", {"response": "a", "context": [1]}, masked=True)


def test_paths_are_reduced_to_names() -> None:
    models = {
        "data": [{"id": "/a/tiny.gguf", "aliases": ["/a/tiny.gguf"]}, {"id": "org/model"}],
        "models": [{"name": "C:\\m\\tiny.gguf"}],
    }
    assert reply("llama.cpp", "/v1/models", models, method="GET") == {
        "data": [{"id": "tiny.gguf", "aliases": ["tiny.gguf"]}, {"id": "org/model"}],
        "models": [{"name": "tiny.gguf"}],
    }
    shown = reply("ollama", "/api/show", {"modelfile": "# FROM tiny:latest\n\nFROM /root/.ollama/blobs/sha256-ab\n"})
    assert shown == {"modelfile": "# FROM tiny:latest\n\nFROM sha256-ab\n"}


def test_a_vllm_models_name_stays_what_callers_must_send() -> None:
    assert reply("vllm", "/v1/models", {"data": [{"id": "/models/m"}]}, method="GET") == {
        "data": [{"id": "/models/m"}]
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_a_refusal_says_all_in_the_dialects_shape(name: str) -> None:
    status, raw = DIALECTS[name].refusal(REFUSAL)
    value = json.loads(raw)
    body = value if name == "ollama" else value["error"]
    assert status == 403
    assert body["type"] == "refused"
    assert (value["error"] if name == "ollama" else body["message"]) == "no policy permits it"
    assert {field: body[field] for field in ("code", "hint", "decision", "rule", "policies")} == {
        "code": "no-permit",
        "hint": "ask ada",
        "decision": "01JD9Q7",
        "rule": "starter",
        "policies": ["starter (starter.cedar:31)"],
    }
    if name == "anthropic":
        assert value["type"] == "error"
