"""An LM Studio server as its published interface has it (lmstudio.ai/docs/developer): nothing is computed."""

from typing import Any, ClassVar

from tests.fakes.model_server import Answer, Handler, OpenAiRoutes, Received, as_events, as_json, cut, echo, serve


class FakeLmStudio(OpenAiRoutes):
    """Speaks `/v1`, the older `/api/v0` and the newer `/api/v1`."""

    model = "tiny-instruct"
    extra: ClassVar[dict[str, Any]] = {
        "stats": {
            "tokens_per_second": 50.0,
            "time_to_first_token": 0.1,
            "generation_time": 0.9,
            "stop_reason": "eosFound",
        },
        "model_info": {"arch": "llama", "quant": "Q4_1", "format": "gguf", "context_length": 2048},
    }

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            **self.openai_routes(),
            **self.openai_routes("/api/v0"),
            ("GET", "/api/v0/models"): self.old_models,
            ("GET", f"/api/v0/models/{self.model}"): lambda _: as_json(self.row()),
            ("GET", "/api/v1/models"): self.new_models,
            ("POST", "/api/v1/chat"): self.native_chat,
            ("POST", "/api/v1/models/load"): lambda _: as_json({"status": "loaded", "instance_id": self.model}),
        }

    def row(self) -> dict[str, Any]:
        about = {"publisher": "fake", "arch": "llama", "compatibility_type": "gguf", "quantization": "Q4_1"}
        return {
            "id": self.model,
            "object": "model",
            "type": "llm",
            **about,
            "state": "loaded",
            "max_context_length": 2048,
        }

    def old_models(self, _: Received) -> Answer:
        return as_json({"object": "list", "data": [self.row()]})

    def new_models(self, _: Received) -> Answer:
        row = {"type": "llm", "key": self.model, "display_name": "Tiny", "format": "gguf", "max_context_length": 2048}
        return as_json({"models": [{**row, "loaded_instances": [{"id": self.model}]}]})

    def native_chat(self, request: Received) -> Answer:
        text = echo(request.json["input"])
        stats = {"input_tokens": 3, "total_output_tokens": 4, "time_to_first_token_seconds": 0.1}
        output = [{"type": "message", "content": text}]
        result = {"model_instance_id": self.model, "output": output, "stats": stats}
        if not request.json.get("stream"):
            return as_json(result)
        deltas = [{"type": "message.delta", "content": piece} for piece in cut(text, self.piece)]
        events: list[dict[str, Any]] = [
            {"type": "chat.start", "model_instance_id": self.model},
            {"type": "message.start"},
            *deltas,
            {"type": "message.end"},
            {"type": "chat.end", "result": result},
        ]
        return as_events(*((event["type"], event) for event in events), done=False)


if __name__ == "__main__":
    serve(FakeLmStudio, 1234)
