"""OpenAI's chat completions, completions, responses, embeddings and models, as local servers speak them."""

import json
from collections.abc import Mapping
from typing import Any

from remit.gateway import sse
from remit.gateway.dialects.dialect import Asked, JsonObject, Refusal
from remit.gateway.dialects.forwarding import asked, forward
from remit.gateway.dialects.openai_stream import OpenAiStream
from remit.gateway.dialects.reader import Reader
from remit.gateway.dialects.scrub import base_names, drop_tokens, hide_cache
from remit.gateway.dialects.stream import StreamReader
from remit.gateway.dialects.typed_stream import TypedStream
from remit.gateway.prompt_cache import CachePlan
from remit.gateway.routes import Route

_CHUNKS = {"openai.chat", "openai.completions"}


class OpenAi:
    """The dialect `openai`: operations chat, completions, responses, embeddings, models."""

    def asked(self, route: Route, body: JsonObject | None, query: Mapping[str, str]) -> Asked:
        return asked(route, body, query)

    def forward(self, route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
        sent = forward(route, body, cache)
        if sent is not None and route.operation == "openai.responses":
            sent["store"] = False  # a stored answer could be fetched by its name, whoever asked for it
        return sent

    def reply(self, route: Route, value: Any, masked: bool) -> Any:
        if type(value) is not dict:
            return value
        hide_cache(value)
        if route.server == "llama.cpp":
            base_names(value)
        if masked:
            drop_tokens(value)
        return value

    def events(self, route: Route) -> StreamReader:
        if route.operation in _CHUNKS:
            return OpenAiStream(route)
        return TypedStream(route) if route.operation == "openai.responses" else Reader(route)

    def refusal(self, refusal: Refusal) -> tuple[int, bytes]:
        return refusal.status, json.dumps(error(refusal), ensure_ascii=False).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return sse.encode("", json.dumps(error(refusal), ensure_ascii=False))


def error(refusal: Refusal) -> dict[str, Any]:
    """OpenAI's error object, with what Remit adds."""
    said = {"message": refusal.message, "type": "refused", "param": None, "code": refusal.code}
    return {"error": {**said, **refusal.details()}}
