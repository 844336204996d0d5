"""Streams of typed events: OpenAI's Responses (`….delta`, `….done`) and LM Studio's chat (`….delta`, `….end`)."""

from typing import Any, Final

from remit.errors import UpstreamError
from remit.gateway.dialects.reader import Found, Reader, is_error
from remit.gateway.dialects.scrub import drop_tokens, hide_cache, spelled, token_of
from remit.gateway.dialects.stream import Whole, string

# Where a delta says what it belongs to (OpenAI Responses; LM Studio's have none of these: one text at a time).
_PLACES: Final[dict[str, type]] = {
    "item_id": str,
    "output_index": int,
    "content_index": int,
    "summary_index": int,
    "command_index": int,
}
_TEXT: Final = ("delta", "content")  # the field that holds the piece: Responses, LM Studio
_LAST: Final = frozenset(
    {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "error", "chat.end"}
)


class TypedStream(Reader):
    """Running text is kept by event type and place. Events that repeat whole texts are cleaned as whole texts."""

    __slots__ = ("_added",)

    def __init__(self, route: Any) -> None:
        super().__init__(route)
        self._added = 0

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        kind = value.get("type")
        kind = kind if type(kind) is str else name
        base, _, stage = kind.rpartition(".")
        field = next((field for field in _TEXT if type(value.get(field)) is str), None) if stage == "delta" else None
        for inner_name, inner in value.items():
            if inner_name not in self.memory:
                found.wholes.append(Whole(inner_name, value, inner_name, is_name=True))
            if inner_name != field:
                string(value, inner_name, inner, self.memory, found.wholes)
        key = _key(base, value)
        if field is not None and value[field]:
            places = {place: value[place] for place in _PLACES if value.get(place) is not None}
            self.slot(found, key, value, field, (kind, field, places))
        elif stage in {"done", "end"}:
            self.part_ended(found, key)
        elif stage in {"added", "start"}:
            self.part_begun()
        if kind in _LAST or is_error(value):
            self.end(found)

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        kind, field, places = self.shape(key)
        event: dict[str, Any] = {"type": kind, **{place: self._cleaned(part) for place, part in places.items()}}
        event[field] = text
        if type(value.get("sequence_number")) is int:
            event["sequence_number"] = value["sequence_number"]
            self._added += 1
            value["sequence_number"] += 1
        return kind, event

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        number = value.get("sequence_number")
        if type(number) is int:  # events were added before this one: the numbers stay without gaps
            value["sequence_number"] = number + self._added
        value.pop("obfuscation", None)
        for inner in (value, value.get("response"), value.get("result")):
            if type(inner) is dict:
                hide_cache(inner)
        if changed or masked or not _spells(value):
            drop_tokens(value)

    def _cleaned(self, part: Any) -> Any:
        """A place as it may be repeated: a number, or a name that was found clean when it came."""
        return part if type(part) is int or part in self.memory else ""


def _spells(value: dict[str, Any]) -> bool:
    """Whether log-probabilities, if there are any, name exactly the tokens of the text beside them."""
    rows = value.get("logprobs")
    if not rows:
        return True
    return type(rows) is list and spelled([token_of(row) for row in rows], value.get("delta", value.get("text")))


def _key(base: str, value: dict[str, Any]) -> str:
    """One spelling for each place; no key is the beginning of another."""
    parts = [value.get(place) for place in _PLACES]
    for (place, kind), part in zip(_PLACES.items(), parts, strict=True):
        if part is not None and type(part) is not kind:
            raise UpstreamError(f"the server sent an event whose `{place}` has the wrong type")
    return repr((base, *parts))
