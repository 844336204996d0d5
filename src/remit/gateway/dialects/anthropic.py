"""Anthropic's messages, where a local server speaks them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from remit.gateway import sse
from remit.gateway.dialects.dialect import Asked, JsonObject, Refusal
from remit.gateway.dialects.forwarding import asked, forward
from remit.gateway.dialects.reader import Found, Reader
from remit.gateway.dialects.scrub import base_names, hide_cache
from remit.gateway.dialects.stream import StreamReader, Whole, string
from remit.gateway.prompt_cache import CachePlan
from remit.gateway.routes import Route

_TEXTS: Final = frozenset({"text", "thinking", "partial_json"})
_RUNNING: Final = frozenset({("delta", "content_block_delta"), ("content_block", "content_block_start")})


class Anthropic:
    """The dialect `anthropic`: operations messages and count."""

    def asked(self, route: Route, body: JsonObject | None, query: Mapping[str, str]) -> Asked:
        return asked(route, body, query)

    def forward(self, route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
        return forward(route, body, cache)

    def reply(self, route: Route, value: Any, masked: bool) -> Any:
        if type(value) is dict:
            hide_cache(value)
            if route.server == "llama.cpp":
                base_names(value)
        return value

    def events(self, route: Route) -> StreamReader:
        return AnthropicStream(route)

    def refusal(self, refusal: Refusal) -> tuple[int, bytes]:
        return refusal.status, json.dumps(_error(refusal), ensure_ascii=False).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return sse.encode("error", json.dumps(_error(refusal), ensure_ascii=False))


def _error(refusal: Refusal) -> dict[str, Any]:
    said = {"type": "refused", "message": refusal.message, "code": refusal.code}
    return {"type": "error", "error": {**said, **refusal.details()}}


class AnthropicStream(Reader):
    """Running text is kept by content block and kind of delta: `0.text`, `1.partial_json`."""

    __slots__ = ()

    @property
    def repeats(self) -> bool:
        return True

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        kind = value.get("type")
        kind = kind if type(kind) is str else ""
        index = value.get("index")
        index = index if type(index) is int else 0
        if kind == "content_block_start":
            self.part_begun(f"{index}.")
        for field, inner in value.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, value, field, is_name=True))
            if (field, kind) in _RUNNING and type(inner) is dict:
                self._delta(inner, index, found)
            else:
                string(value, field, inner, self.memory, found.wholes)
        if kind == "content_block_stop":
            self.part_ended(found, f"{index}.")
        elif kind in {"message_stop", "error"}:
            self.end(found)

    def _delta(self, delta: dict[str, Any], index: int, found: Found) -> None:
        for field, inner in delta.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, delta, field, is_name=True))
            if field in _TEXTS and type(inner) is str:
                if inner:
                    self.slot(found, f"{index}.{field}", delta, field, (index, field))
            else:
                string(delta, field, inner, self.memory, found.wholes)

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        index, field = self.shape(key)
        kind = "input_json_delta" if field == "partial_json" else f"{field}_delta"
        event = {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}
        return "content_block_delta", event

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        hide_cache(value)
        message = value.get("message")
        if type(message) is dict:
            hide_cache(message)
