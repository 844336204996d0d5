"""Ollama's own interface: generate, chat, embed, its lists, and the administration of models."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from remit.gateway.dialects.dialect import Asked, JsonObject, Refusal
from remit.gateway.dialects.forwarding import asked, forward
from remit.gateway.dialects.reader import Found, LineReader, is_error
from remit.gateway.dialects.scrub import drop_tokens, hide_cache, modelfile, spelled, token_of
from remit.gateway.dialects.stream import StreamReader, Whole, string
from remit.gateway.prompt_cache import CachePlan
from remit.gateway.routes import Route

_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z"
)  # RFC 3339, as Go writes it
_TEXTS: Final = frozenset({"content", "response", "thinking"})


class Ollama:
    """The dialect `ollama`: operations generate, chat, embed, list, show, admin."""

    def asked(self, route: Route, body: JsonObject | None, query: Mapping[str, str]) -> Asked:
        return asked(route, body, query)

    def forward(self, route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
        return forward(route, body, cache)

    def reply(self, route: Route, value: Any, masked: bool) -> Any:
        if type(value) is not dict:
            return value
        hide_cache(value)
        if type(value.get("modelfile")) is str:
            value["modelfile"] = modelfile(value["modelfile"])
        if masked:
            drop_tokens(value)
        return value

    def events(self, route: Route) -> StreamReader:
        return OllamaStream(route)

    def refusal(self, refusal: Refusal) -> tuple[int, bytes]:
        return refusal.status, json.dumps(_error(refusal), ensure_ascii=False).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return json.dumps(_error(refusal), ensure_ascii=False).encode() + b"\n"


def _error(refusal: Refusal) -> dict[str, Any]:
    return {"error": refusal.message, "type": "refused", "code": refusal.code, **refusal.details()}


class OllamaStream(LineReader):
    """Running text: `response` and `thinking` of generate, `message.content` and `message.thinking` of chat."""

    __slots__ = ()

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        done = value.get("done") is True
        self._object(value, "", done, found)
        if done or is_error(value):
            self.end(found)

    def _object(self, node: dict[str, Any], key: str, done: bool, found: Found) -> None:
        for field, inner in node.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, node, field, is_name=True))
            if field in _TEXTS and type(inner) is str:
                if inner or done:  # the last line has room for what was held back
                    self.slot(found, f"{key}{field}", node, field, (key, field))
            elif field == "message" and type(inner) is dict and not key:
                self._object(inner, "message.", done, found)
            elif field != "context" and not (field == "created_at" and _is_time(inner)):
                string(node, field, inner, self.memory, found.wholes)

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        inside, field = self.shape(key)
        line: dict[str, Any] = {name: value[name] for name in ("model", "created_at") if name in value}
        said: dict[str, Any] = {field: text}
        if inside:
            said = {"message": {"role": "assistant", "content": "", field: text}}
        return "", {**line, **said, "done": False}

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        hide_cache(value)
        if masked or not _is_ids(value.get("context")):
            value.pop("context", None)
        if value.get("logprobs") is not None and (changed or masked or not _spells(value)):
            del value["logprobs"]


def _is_ids(value: Any) -> bool:
    """Whether it is a list of token ids and nothing else: no text in it was looked at."""
    return type(value) is list and all(type(token) is int for token in value)


def _is_time(value: Any) -> bool:
    """Whether it is a time and nothing else: each line has another, and none needs a look."""
    return type(value) is str and _TIME.match(value) is not None


def _spells(line: dict[str, Any]) -> bool:
    """Whether log-probabilities name exactly the tokens of the text beside them: then they tell no more than it."""
    message, rows = line.get("message"), line["logprobs"]
    text = message.get("content") if type(message) is dict else line.get("response")
    return type(rows) is list and spelled([token_of(row) for row in rows], text)
