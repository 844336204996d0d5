"""What tools, searches and documents said is content from outside, in every dialect; what the parties say is not."""

from typing import Any

import pytest

from remit.gateway.came_in import brings

CALL = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}


def said(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


@pytest.mark.parametrize(
    "body",
    [
        said({"role": "tool", "tool_call_id": "c", "content": "x"}),  # OpenAI, Ollama
        said({"role": "function", "name": "read", "content": "x"}),
        said({"role": " Tool ", "content": "x"}),
        said({"role": "ipython", "content": "x"}),  # Llama's templates
        said({"role": "observation", "content": "x"}),
        said({"role": 7, "content": "x"}),
        said({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]}),  # Anthropic
        said({"role": "user", "content": [{"type": "web_search_tool_result", "content": []}]}),
        said({"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "x"}}]}),
        said({"role": "user", "content": [{"type": "text", "text": "a", "content": [{"type": "search_result"}]}]}),
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},  # OpenAI's responses
        {"input": [{"type": "mcp_call", "output": "x"}]},
        {"input": [{"type": "file_search_call", "results": [{"text": "x"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "x"}]}]},
        said({"role": "user", "content": "x"}, documents=[{"text": "x"}]),  # vLLM
    ],
)
def test_what_was_fetched_comes_from_outside(body: dict[str, Any]) -> None:
    assert brings(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"tool",
        "tool",
        {},
        {"prompt": "role: tool"},
        {"input": "tool"},
        {"input": ["a", "b"]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "tool_result"}]}]},
        {"input": [{"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"}]},
        {"input": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]},
        said({"role": "system", "content": "x"}, {"role": "developer", "content": "x"}),
        said({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}),
        said({"role": "assistant", "content": None, "tool_calls": [CALL]}),
        said({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "read", "input": {}}]}),
        said({"role": "user", "content": "x"}, tools=[{"type": "function", "function": {"name": "tool"}}]),
        said({"role": "user", "content": "x"}, documents=[]),
    ],
)
def test_what_the_parties_say_is_theirs(body: Any) -> None:
    assert not brings(body)


def test_however_deep_it_lies_it_is_found_without_end_of_patience() -> None:
    deep: Any = {"type": "tool_result"}
    for _ in range(20_000):
        deep = [{"type": "text", "content": deep}]
    assert brings({"messages": deep})
