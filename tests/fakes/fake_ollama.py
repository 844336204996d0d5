"""An Ollama server as its published interface has it (docs/api.md, docs/openai.md): nothing is computed."""

import hashlib
from typing import Any

from tests.fakes.model_server import (
    Answer,
    Handler,
    OpenAiRoutes,
    Received,
    as_json,
    as_lines,
    cut,
    echo,
    last,
    serve,
)

CREATED = "2026-01-01T00:00:00.000000Z"
DIGEST = hashlib.sha256(b"a tiny model").hexdigest()
DETAILS = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "134.5M"}


class FakeOllama(OpenAiRoutes):
    """Lists one model, `tiny:latest`; pulled, created and copied models join it."""

    version = "0.35.0"

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.names = [self.model]

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/"): lambda _: Answer(kind="text/plain; charset=utf-8", body=b"Ollama is running"),
            ("HEAD", "/"): lambda _: Answer(kind="text/plain; charset=utf-8"),
            ("GET", "/api/version"): lambda _: as_json({"version": self.version}),
            ("GET", "/api/tags"): self.tags,
            ("HEAD", "/api/tags"): self.tags,
            ("GET", "/api/ps"): self.tags,
            ("POST", "/api/show"): self.show,
            ("POST", "/api/generate"): self.generate,
            ("POST", "/api/chat"): self.native_chat,
            ("POST", "/api/embed"): self.native_embed,
            ("POST", "/api/pull"): self.pull,
            ("POST", "/api/create"): self.pull,
            ("POST", "/api/copy"): self.copy,
            ("DELETE", "/api/delete"): self.delete,
            **self.openai_routes(),
        }

    def tags(self, _: Received) -> Answer:
        size = {"size": 91_000_000, "size_vram": 0, "expires_at": CREATED, "context_length": 2048}
        rows = [
            {"name": name, "model": name, "modified_at": CREATED, "digest": DIGEST, "details": DETAILS, **size}
            for name in self.names
        ]
        return as_json({"models": rows})

    def show(self, request: Received) -> Answer:
        if request.json.get("model", request.json.get("name")) not in self.names:
            return as_json({"error": f"model '{request.json.get('model')}' not found"}, 404)
        modelfile = f"# FROM tiny:latest\n\nFROM /root/.ollama/models/blobs/sha256-{DIGEST}\n"
        about = {"details": DETAILS, "model_info": {"general.architecture": "llama"}, "capabilities": ["completion"]}
        return as_json({"modelfile": modelfile, "template": "{{ .Prompt }}", **about})

    def generate(self, request: Received) -> Answer:
        text = echo(request.json.get("prompt", ""))
        return self._answer(request, text, lambda piece: {"response": piece}, {"context": [1, 2, 3]})

    def native_chat(self, request: Received) -> Answer:
        text = echo(last(request.json.get("messages", [])))
        return self._answer(request, text, lambda piece: {"message": {"role": "assistant", "content": piece}}, {})

    def _answer(self, request: Received, text: str, said: Any, more: dict[str, Any]) -> Answer:
        if request.json.get("model") not in self.names:
            return as_json({"error": f"model '{request.json.get('model')}' not found"}, 404)
        head = {"model": request.json["model"], "created_at": CREATED}
        counts = {"total_duration": 9, "load_duration": 1, "prompt_eval_count": 3, "prompt_eval_duration": 2}
        end = {"done": True, "done_reason": "stop", **more, **counts, "eval_count": 4, "eval_duration": 5}
        if request.json.get("stream") is False:
            return as_json({**head, **said(text), **end})
        pieces = [{**head, **said(piece), "done": False} for piece in cut(text, self.piece)]
        return as_lines(*pieces, {**head, **said(""), **end})

    def native_embed(self, request: Received) -> Answer:
        given = request.json["input"]
        texts = [given] if isinstance(given, str) else given
        return as_json(
            {"model": request.json["model"], "embeddings": [[0.5, 0.25] for _ in texts], "total_duration": 9}
        )

    def pull(self, request: Received) -> Answer:
        self.names.append(request.json.get("model", request.json.get("name")))
        if request.json.get("stream") is False:
            return as_json({"status": "success"})
        return as_lines({"status": "pulling manifest"}, {"status": "success"})

    def copy(self, request: Received) -> Answer:
        self.names.append(request.json["destination"])
        return as_json({})

    def delete(self, request: Received) -> Answer:
        name = request.json.get("model", request.json.get("name"))
        if name not in self.names:
            return as_json({"error": f"model '{name}' not found"}, 404)
        self.names.remove(name)
        return as_json({})


if __name__ == "__main__":
    serve(FakeOllama, 11434)
