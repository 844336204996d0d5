"""A vLLM server as its published interface has it (docs.vllm.ai, online serving): nothing is computed."""

from typing import Any

from tests.fakes.model_server import (
    Answer,
    Handler,
    OpenAiRoutes,
    Received,
    as_events,
    as_json,
    cut,
    echo,
    last,
    serve,
)


class FakeVllm(OpenAiRoutes):
    """Serves one model; its dangerous routes are there and answer, so that a test sees whether they were reached."""

    model = "org/tiny"
    version = "0.32.0"

    def routes(self) -> dict[tuple[str, str], Handler]:
        reached = [
            ("POST", "/invocations"),
            ("POST", "/v1/load_lora_adapter"),
            ("POST", "/collective_rpc"),
            ("POST", "/sleep"),
            ("POST", "/reset_prefix_cache"),
            ("GET", "/server_info"),
        ]
        return {
            ("GET", "/version"): lambda _: as_json({"version": self.version}),
            ("GET", "/health"): lambda _: Answer(),
            ("GET", "/ping"): lambda _: Answer(),
            ("GET", "/metrics"): lambda _: Answer(
                kind="text/plain; version=0.0.4", body=b"vllm:num_requests_running 0\n"
            ),
            ("GET", "/load"): lambda _: as_json({"server_load": 0}),
            ("POST", "/tokenize"): lambda _: as_json({"count": 2, "max_model_len": 2048, "tokens": [1, 2]}),
            ("POST", "/v1/messages"): self.messages,
            **{route: lambda _: as_json({"reached": True}) for route in reached},
            **self.openai_routes(),
        }

    def models(self, _: Received) -> Answer:
        row = {"id": self.model, "object": "model", "created": 1700000000, "owned_by": "vllm", "root": self.model}
        return as_json({"object": "list", "data": [{**row, "parent": None, "max_model_len": 2048}]})

    def messages(self, request: Received) -> Answer:
        text = echo(last(request.json["messages"]))
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "stop_sequence": None}
        usage = {"input_tokens": 3, "output_tokens": 4}
        if not request.json.get("stream"):
            content = [{"type": "text", "text": text}]
            return as_json({**message, "content": content, "stop_reason": "end_turn", "usage": usage})
        deltas = [{"type": "text_delta", "text": piece} for piece in cut(text, self.piece)]
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        return as_events(*((event["type"], event) for event in events), done=False)


if __name__ == "__main__":
    serve(FakeVllm, 8000)
