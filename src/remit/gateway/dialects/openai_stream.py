"""Streams of OpenAI chat and text completions: chunks with choices, each with a delta."""

from typing import Any, Final

from remit.errors import UpstreamError
from remit.gateway.dialects.reader import MAX_NAME_CHARS, Found, Reader, is_error
from remit.gateway.dialects.scrub import hide_cache, spelled, token_of
from remit.gateway.dialects.stream import MAX_DEPTH, Whole, string

# Fields of a delta that hold running text: OpenAI's, and `reasoning_content` (llama.cpp, vLLM), `reasoning` (vLLM,
# Ollama), `thinking`. Text in a field that is not named here is taken as complete in each chunk.
_TEXTS: Final = {
    *("arguments", "code", "content", "data", "input", "output", "partial_json", "reasoning", "reasoning_content"),
    *("refusal", "summary", "text", "thinking", "transcript"),
}
_CONTAINERS: Final = frozenset(
    {"audio", "content", "custom", "function", "function_call", "reasoning_details", "tool_calls"}
)
_TOKEN_FIELDS: Final = ("token_ids", "prompt_token_ids", "prompt_logprobs")


class OpenAiStream(Reader):
    """Running text is kept by choice and field: `0.content`, `0.tool_calls.1.function.arguments`."""

    __slots__ = ("_pieces",)

    def __init__(self, route: Any) -> None:
        super().__init__(route)
        self._pieces: dict[str, str] = {}

    @property
    def repeats(self) -> bool:
        return not self._pieces

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        memory = self.memory
        for field, inner in value.items():
            if field not in memory:
                found.wholes.append(Whole(field, value, field, is_name=True))
            if field != "choices":
                string(value, field, inner, memory, found.wholes)
            elif type(inner) is list:
                for place, choice in enumerate(inner):
                    self._choice(inner, place, choice, found)
            else:
                string(value, field, inner, memory, found.wholes)
        if is_error(value):
            self.end(found)

    def _choice(self, holder: list[Any], place: int, choice: Any, found: Found) -> None:
        if type(choice) is not dict:
            string(holder, place, choice, self.memory, found.wholes)
            return
        index = choice.get("index")
        if type(index) is not int:
            index = place
        for field, inner in choice.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, choice, field, is_name=True))
            if field == "delta" and type(inner) is dict:
                self._delta(inner, f"{index}", (index, "delta"), found)
            elif field == "text" and type(inner) is str:
                if inner:
                    self.slot(found, f"{index}.text", choice, "text", (index, "text"))
            else:
                string(choice, field, inner, self.memory, found.wholes)
        reason = choice.get("finish_reason")
        if type(reason) is str and reason:
            self.end(found, f"{index}.")

    def _delta(self, node: dict[str, Any], key: str, shape: tuple[Any, ...], found: Found) -> None:
        if len(shape) > MAX_DEPTH:
            raise UpstreamError(f"the server sent an event nested deeper than {MAX_DEPTH} levels")
        for field, inner in node.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, node, field, is_name=True))
            if type(inner) is str:
                if field in _TEXTS:
                    if inner:
                        self.slot(found, f"{key}.{field}", node, field, (*shape, field))
                elif field == "name":
                    self._name(node, f"{key}.name", inner, found)
                else:
                    string(node, field, inner, self.memory, found.wholes)
            elif field in _CONTAINERS and type(inner) is dict:
                self._delta(inner, f"{key}.{field}", (*shape, field), found)
            elif field in _CONTAINERS and type(inner) is list:
                self._items(inner, f"{key}.{field}", (*shape, field), found)
            else:
                string(node, field, inner, self.memory, found.wholes)

    def _items(self, items: list[Any], key: str, shape: tuple[Any, ...], found: Found) -> None:
        for place, item in enumerate(items):
            if type(item) is not dict:
                string(items, place, item, self.memory, found.wholes)
                continue
            index = item.get("index")
            if type(index) is not int:
                index = place
            self._delta(item, f"{key}.{index}", (*shape, index), found)

    def _name(self, node: dict[str, Any], key: str, piece: str, found: Found) -> None:
        """A tool's name comes whole. Where a server cuts it, each piece is judged with those before it."""
        before = self._pieces.get(key, "")
        name = piece if before == piece else before + piece
        if len(name) > MAX_NAME_CHARS:
            raise UpstreamError(f"the server sent a tool's name of more than {MAX_NAME_CHARS} characters")
        self._pieces[key] = name
        if name and name not in self.memory:
            found.wholes.append(Whole(name, node, "name"))

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        index, *path = self.shape(key)
        choice: dict[str, Any] = _nested(path, text)
        envelope: dict[str, Any] = {
            name: value[name] for name in ("id", "object", "created", "model") if name in value
        }
        return "", {**envelope, "choices": [{"index": index, **choice, "finish_reason": None}]}

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        hide_cache(value)
        for field in _TOKEN_FIELDS:
            value.pop(field, None)
        choices = value.get("choices")
        for choice in choices if type(choices) is list else ():
            if type(choice) is not dict:
                continue
            for field in _TOKEN_FIELDS:
                choice.pop(field, None)
            if choice.get("logprobs") is not None and (changed or masked or not _spells(choice)):
                choice["logprobs"] = None


def _spells(choice: dict[str, Any]) -> bool:
    """Whether log-probabilities name exactly the tokens of the text beside them: then they tell no more than it."""
    logprobs, delta = choice["logprobs"], choice.get("delta")
    if type(logprobs) is not dict:
        return False
    if type(delta) is not dict:
        return spelled(logprobs.get("tokens"), choice.get("text"))
    rows = logprobs.get("content")
    return type(rows) is list and spelled([token_of(row) for row in rows], delta.get("content"))


def _nested(path: list[Any], text: str) -> Any:
    """`["delta", "tool_calls", 1, "function", "arguments"]` around `text`, list places as objects with an index."""
    value: Any = text
    for step in reversed(path):
        value = [{"index": step, **value}] if type(step) is int else {step: value}
    return value
