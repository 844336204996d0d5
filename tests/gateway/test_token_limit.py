"""What a request may need in tokens, and how it is held to no more, as each server reads it."""

from typing import Any

import pytest

from remit.gateway.routes import Route, match, profile
from remit.gateway.token_limit import UNNAMED, answers, hears_of_usage, held_to, longest
from remit.gateway.usage import MOST_SAID, Usage

CHAT = ("openai", "/v1/chat/completions")


def route(server: str, path: str) -> Route:
    return match(profile(server), "POST", path)


MAXIMA: list[tuple[tuple[str, str], dict[str, Any], dict[str, Any]]] = [
    (CHAT, {}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": 7}, {"max_tokens": 7}),
    (CHAT, {"max_tokens": 700}, {"max_tokens": 100}),
    (CHAT, {"max_completion_tokens": 700}, {"max_completion_tokens": 100}),
    (CHAT, {"max_tokens": -1}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": None}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": 7.0}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": "7"}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": True}, {"max_tokens": 100}),
    (CHAT, {"max_tokens": 7, "n_predict": 900}, {"max_tokens": 7, "n_predict": 100}),
    (("openai", "/v1/completions"), {}, {"max_tokens": 100}),
    (("openai", "/v1/responses"), {}, {"max_output_tokens": 100}),
    (("vllm", "/v1/messages"), {"max_tokens": 4096}, {"max_tokens": 100}),
    (("llama.cpp", "/completion"), {}, {"n_predict": 100}),
    (("llama.cpp", "/completion"), {"n_predict": -1, "max_tokens": 5}, {"n_predict": 100, "max_tokens": 5}),
    (("lmstudio", "/api/v1/chat"), {}, {"max_output_tokens": 100}),
    (("ollama", "/api/chat"), {}, {"options": {"num_predict": 100}}),
    (("ollama", "/api/chat"), {"options": None}, {"options": {"num_predict": 100}}),
    (("ollama", "/api/chat"), {"options": {"seed": 1}}, {"options": {"seed": 1, "num_predict": 100}}),
    (("ollama", "/api/generate"), {"options": {"num_predict": -2}}, {"options": {"num_predict": 100}}),
    (("ollama", "/api/generate"), {"options": {"num_predict": 9}}, {"options": {"num_predict": 9}}),
    (("ollama", "/api/chat"), {"max_tokens": 7}, {"max_tokens": 7, "options": {"num_predict": 100}}),
    (("ollama", "/api/chat"), {"num_predict": 7}, {"num_predict": 7, "options": {"num_predict": 100}}),
    (CHAT, {"options": {"max_tokens": 7}}, {"options": {"max_tokens": 7}, "max_tokens": 100}),
    (CHAT, {"num_predict": 7}, {"num_predict": 7, "max_tokens": 100}),
    (("openai", "/v1/responses"), {"max_tokens": 7}, {"max_tokens": 7, "max_output_tokens": 100}),
    (("openai", "/v1/completions"), {"max_completion_tokens": 7}, {"max_completion_tokens": 7, "max_tokens": 100}),
]


@pytest.mark.parametrize(("where", "body", "sent"), MAXIMA)
def test_a_request_has_a_maximum_that_its_server_reads(
    where: tuple[str, str], body: dict[str, Any], sent: dict[str, Any]
) -> None:
    before = repr(body)
    assert held_to(route(*where), body, 100) == sent
    assert repr(body) == before  # what was decided on stays as it was


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({}, UNNAMED),
        ({"max_tokens": 9}, 9),
        ({"max_tokens": 9, "n_predict": 12}, 12),
        ({"max_tokens": 9, "n_predict": -1}, UNNAMED),
        ({"max_tokens": 60_000}, 60_000),
        ({"options": {"num_predict": 3}}, 3),
    ],
)
def test_the_longest_answer_is_by_whichever_name_allows_most(body: dict[str, Any], most: int) -> None:
    assert longest(body) == most


@pytest.mark.parametrize(
    ("where", "body", "times"),
    [
        (CHAT, {}, 1),
        (CHAT, {"n": 3}, 3),
        (CHAT, {"n": 3, "best_of": 5}, 5),
        (CHAT, {"n": 0}, 1),
        (CHAT, {"n": "3"}, 3),
        (CHAT, {"n": 3.0}, 3),
        (CHAT, {"n": "some"}, 1),
        (CHAT, {"n": None}, 1),
        (("openai", "/v1/completions"), {"prompt": ["a", "b"], "n": 2}, 4),
        (("openai", "/v1/completions"), {"prompt": []}, 1),
        (("openai", "/v1/embeddings"), {"n": 3}, 0),
        (("vllm", "/v1/messages/count_tokens"), {}, 0),
        (("vllm", "/tokenize"), {}, 0),
    ],
)
def test_how_many_answers_are_as_long(where: tuple[str, str], body: dict[str, Any], times: int) -> None:
    assert answers(route(*where), body) == times


def test_a_stream_is_asked_what_it_used_and_only_where_servers_know_the_question() -> None:
    asked = held_to(route(*CHAT), {"stream": True, "max_tokens": 1}, 100)
    assert asked["stream_options"] == {"include_usage": True}
    kept = held_to(route(*CHAT), {"stream": True, "stream_options": {"include_usage": False, "x": 1}}, 100)
    assert kept["stream_options"] == {"include_usage": True, "x": 1}
    assert "stream_options" not in held_to(route(*CHAT), {"stream": False}, 100)
    assert "stream_options" not in held_to(route("openai", "/v1/responses"), {"stream": True}, 100)
    assert not hears_of_usage({"stream_options": {"include_usage": False}})
    assert hears_of_usage(asked)


SAID: list[tuple[list[Any], tuple[int, int]]] = [
    ([{"usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}], (7, 5)),
    ([{"usage": {"prompt_tokens": 7, "total_tokens": 7}}], (7, 0)),
    ([{"usage": {"input_tokens": 7, "output_tokens": 5}}], (7, 5)),
    ([{"usage": {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 100}}], (107, 5)),
    (
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "message_delta", "usage": {"output_tokens": 5}},
        ],
        (7, 5),
    ),
    ([{"type": "response.completed", "response": {"usage": {"input_tokens": 7, "output_tokens": 5}}}], (7, 5)),
    ([{"response": "a"}, {"done": True, "prompt_eval_count": 7, "eval_count": 5}], (7, 5)),
    ([{"content": "a", "tokens_evaluated": 7, "tokens_predicted": 5}], (7, 5)),
    ([{"stats": {"input_tokens": 7, "total_output_tokens": 5}}], (7, 5)),
    ([{"type": "chat.end", "result": {"stats": {"input_tokens": 7, "total_output_tokens": 5}}}], (7, 5)),
    ([{"usage": None}, [], "x", {"usage": {"prompt_tokens": "7", "completion_tokens": -5}}, {"usage": [1]}], (0, 0)),
    ([{"usage": {"prompt_tokens": True}}], (0, 0)),
    ([{"usage": {"prompt_tokens": 2**64 - 1, "completion_tokens": 2**64 - 1}}], (MOST_SAID, MOST_SAID)),
]


@pytest.mark.parametrize(("events", "used"), SAID)
def test_what_servers_say_of_usage_is_read(events: list[Any], used: tuple[int, int]) -> None:
    usage = Usage()
    for event in events:
        usage.hear(event)
    assert (usage.prompt, usage.answer) == used
