"""Streams as servers send them, one for each dialect and operation, with a secret cut across their events."""

import json
from typing import Any, NamedTuple

SECRET = "ghp_7Qx2secretsecretsecret"
LEFT, RIGHT = SECRET[:9], SECRET[9:]


class Recorded(NamedTuple):
    server: str
    path: str
    stream: bytes


def sse(*events: Any, done: bool = False) -> bytes:
    rows = []
    for event in events:
        name, value = event if isinstance(event, tuple) else ("", event)
        rows.append((f"event: {name}\n" if name else "") + f"data: {json.dumps(value, ensure_ascii=False)}\n\n")
    return ("".join(rows) + ("data: [DONE]\n\n" if done else "")).encode()


def lines(*events: Any) -> bytes:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()


def chunk(delta: dict[str, Any], *, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}


def tool(index: int, **function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


CHAT = sse(
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": f"thinking of {LEFT}"}),
    chunk({"reasoning_content": f"{RIGHT} now"}),
    chunk({"content": "Grüße 🙂 "}),
    chunk({"content": f"the key is {LEFT}"}, index=1),
    chunk({"content": f"{LEFT}"}),
    chunk({"content": f"{RIGHT} is it"}),
    chunk({"content": f"{RIGHT}."}, index=1),
    chunk(
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "go", "arguments": ""}}]}
    ),
    chunk(tool(0, arguments='{"a": "' + LEFT)),
    chunk(tool(0, arguments=RIGHT + '"}')),
    chunk({"content": " ends in gh"}, index=1),
    chunk({}, index=1, finish="stop"),
    chunk({}, finish="tool_calls"),
    {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 7}}},
    done=True,
)
COMPLETION = sse(
    {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": f"a {LEFT}", "logprobs": None}]},
    {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": f"{RIGHT} b ghp"}]},
    {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": "", "finish_reason": "length"}]},
    done=True,
)
_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_FULL = {"type": "output_text", "text": f"so {SECRET} is it gh", "annotations": []}
_ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [_FULL]}
_OUTPUT = {"id": "resp_1", "object": "response", "status": "completed", "output": [_ITEM]}


def typed(number: int, kind: str, **value: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, "sequence_number": number, **value}


RESPONSES = sse(
    typed(0, "response.created", response={"id": "resp_1", "object": "response", "output": []}),
    typed(1, "response.output_item.added", output_index=0, item={**_ITEM, "content": []}),
    typed(2, "response.output_text.delta", delta=f"so {LEFT}", **_PLACE),
    typed(3, "response.output_text.delta", delta=f"{RIGHT} is it gh", **_PLACE),
    typed(4, "response.output_text.done", text=_FULL["text"], **_PLACE),
    typed(5, "response.content_part.done", part=_FULL, **_PLACE),
    typed(6, "response.output_item.done", output_index=0, item=_ITEM),
    typed(7, "response.function_call_arguments.delta", delta='{"k": "' + LEFT, item_id="fc_1", output_index=1),
    typed(8, "response.function_call_arguments.delta", delta=RIGHT + '"}', item_id="fc_1", output_index=1),
    typed(
        9,
        "response.function_call_arguments.done",
        arguments='{"k": "' + SECRET + '"}',
        item_id="fc_1",
        output_index=1,
    ),
    typed(10, "response.completed", response={**_OUTPUT, "usage": {"input_tokens_details": {"cached_tokens": 5}}}),
)


def block(index: int, **delta: str) -> tuple[str, dict[str, Any]]:
    return "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "content_block_stop", {"type": "content_block_stop", "index": index}


def start(index: int, **content: Any) -> tuple[str, dict[str, Any]]:
    return "content_block_start", {"type": "content_block_start", "index": index, "content_block": content}


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m"}
MESSAGES = sse(
    (
        "message_start",
        {
            "type": "message_start",
            "message": {**_MESSAGE, "usage": {"input_tokens": 3, "cache_read_input_tokens": 9}},
        },
    ),
    start(0, type="thinking", thinking=""),
    block(0, type="thinking_delta", thinking=f"hm {LEFT}"),
    block(0, type="thinking_delta", thinking=RIGHT),
    stop(0),
    start(1, type="text", text=""),
    ("ping", {"type": "ping"}),
    block(1, type="text_delta", text=f"it is {LEFT}"),
    block(1, type="text_delta", text=f"{RIGHT}, ends gh"),
    stop(1),
    start(2, type="tool_use", id="tu_1", name="go", input={}),
    block(2, type="input_json_delta", partial_json='{"k": "' + LEFT),
    block(2, type="input_json_delta", partial_json=RIGHT + '"}'),
    stop(2),
    ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}}),
    ("message_stop", {"type": "message_stop"}),
)
_LINE = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
OLLAMA_CHAT = lines(
    {**_LINE, "message": {"role": "assistant", "content": "", "thinking": f"hm {LEFT}"}, "done": False},
    {**_LINE, "message": {"role": "assistant", "content": "", "thinking": f"{RIGHT} g"}, "done": False},
    {**_LINE, "message": {"role": "assistant", "content": f"it is {LEFT}"}, "done": False},
    {**_LINE, "message": {"role": "assistant", "content": f"{RIGHT}, ends gh"}, "done": False},
    {
        **_LINE,
        "message": {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "go", "arguments": {"k": SECRET, SECRET: 1}}}],
        },
        "done": False,
    },
    {**_LINE, "message": {"role": "assistant", "content": ""}, "done": True, "prompt_eval_duration": 7},
)
OLLAMA_GENERATE = lines(
    {**_LINE, "response": f"it is {LEFT}", "done": False},
    {**_LINE, "response": f"{RIGHT}, ends gh", "done": False},
    {**_LINE, "response": "", "done": True, "context": [1, 2, 3], "prompt_eval_duration": 7},
)
LLAMACPP = sse(
    {"index": 0, "content": f"it is {LEFT}", "tokens": [1, 2], "stop": False, "id_slot": 3},
    {"index": 0, "content": f"{RIGHT}, ends gh", "tokens": [3], "stop": False, "id_slot": 3},
    {
        "index": 0,
        "content": "",
        "tokens": [],
        "stop": True,
        "prompt": f"say {SECRET}",
        "tokens_cached": 9,
        "timings": {},
    },
)
LMSTUDIO = sse(
    ("chat.start", {"type": "chat.start", "model_instance_id": "m"}),
    ("reasoning.delta", {"type": "reasoning.delta", "content": f"hm {LEFT}"}),
    ("reasoning.delta", {"type": "reasoning.delta", "content": f"{RIGHT}g"}),
    ("reasoning.end", {"type": "reasoning.end"}),
    ("message.delta", {"type": "message.delta", "content": f"it is {LEFT}"}),
    ("message.delta", {"type": "message.delta", "content": f"{RIGHT}, ends gh"}),
    ("message.end", {"type": "message.end"}),
    ("tool_call.success", {"type": "tool_call.success", "arguments": {"k": SECRET}, "output": f"got {SECRET}"}),
    (
        "chat.end",
        {
            "type": "chat.end",
            "result": {
                "output": [{"type": "message", "content": f"it is {SECRET}, ends gh"}],
                "stats": {"time_to_first_token_seconds": 0.1},
            },
        },
    ),
)
RECORDED = {
    "openai.chat": Recorded("llama.cpp", "/v1/chat/completions", CHAT),
    "openai.completions": Recorded("vllm", "/v1/completions", COMPLETION),
    "openai.responses": Recorded("llama.cpp", "/v1/responses", RESPONSES),
    "anthropic.messages": Recorded("llama.cpp", "/v1/messages", MESSAGES),
    "ollama.chat": Recorded("ollama", "/api/chat", OLLAMA_CHAT),
    "ollama.generate": Recorded("ollama", "/api/generate", OLLAMA_GENERATE),
    "llamacpp.completion": Recorded("llama.cpp", "/completion", LLAMACPP),
    "lmstudio.chat": Recorded("lmstudio", "/api/v1/chat", LMSTUDIO),
}
