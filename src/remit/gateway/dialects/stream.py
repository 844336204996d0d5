"""A streamed answer as events whose texts can be cleaned and which can then be written again.

An event is never passed on as the bytes it came in: it is parsed, its texts are replaced, and it is written anew, so
that what a client reads is what was cleaned, whatever the server's bytes would have meant to another parser.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from remit.errors import UpstreamError

MAX_DEPTH: Final = 64  # levels of a stream event; a tool's arguments stay far below
MAX_REMEMBERED: Final = 256  # strings a stream repeats in each event (id, model), known clean
MAX_REMEMBERED_CHARS: Final = 128

# Names and values that the dialects themselves define: they can't carry a secret.
_KNOWN = """
annotations arguments assistant call_id choices chat.completion.chunk completion_tokens content content_block
content_block_delta content_block_start content_block_stop content_index created created_at data delta done
done_reason error eval_count eval_duration finish_reason function function_call id index input input_json_delta
input_tokens item item_id length load_duration logprobs message message_delta message_start message_stop model name
object output output_index output_text output_tokens part partial_json ping prompt_eval_count prompt_tokens reasoning
reasoning_content refusal response response.output_text.delta role sequence_number status stop stop_reason
stop_sequence stop_type summary_index system_fingerprint text text_completion text_delta thinking thinking_delta
tokens tool tool_calls tool_use total_duration total_tokens type usage
"""
KNOWN: Final = frozenset(_KNOWN.split())


class Slot(NamedTuple):
    """A piece of running text. Pieces of one `key` belong together, in order; it stands at `holder[name]`."""

    key: str
    text: str
    holder: Any
    name: str | int


class Whole(NamedTuple):
    """A text that is complete in itself; `is_name` when it is the name of a field rather than its value."""

    text: str
    holder: Any
    name: str | int
    is_name: bool = False


class Event:
    """One event of a streamed answer.

    `slots` and `wholes` are its texts. `ends` are the keys whose text is complete with this event: whatever a
    cleaner still holds back of them goes into `encode` as `flushed`.
    """

    __slots__ = ("_name", "_reader", "_value", "ends", "slots", "wholes")

    def __init__(
        self, reader: "EventWriter", name: str, value: Any, slots: list[Slot], wholes: list[Whole], ends: list[str]
    ) -> None:
        self._reader, self._name, self._value = reader, name, value
        self.slots, self.wholes, self.ends = slots, wholes, ends

    def encode(
        self,
        slots: Sequence[str],
        flushed: Mapping[str, str] | None = None,
        wholes: Sequence[str] = (),
        *,
        masked: bool = False,
    ) -> bytes:
        """The event with these texts in place of its own, preceded by events for `flushed` that has no place in it.

        `slots` and `wholes` are in the order of the event's. `masked`: something in this call was masked so far.
        """
        rest = {key: text for key, text in flushed.items() if text} if flushed else {}
        changed = self._place(slots, rest)
        self._replace(wholes)
        return self._reader.write(self._name, self._value, rest, changed=changed, masked=masked)

    @property
    def value(self) -> Any:
        """What the server sent, as far as its texts were not replaced yet."""
        return self._value

    def same_but_for(self, slot: Slot, text: str, name: str, value: Any) -> bool:
        """Whether `name` and `value` are this event's, with `text` in the place of this slot of it."""
        slot.holder[slot.name] = text
        same: bool = name == self._name and value == self._value
        slot.holder[slot.name] = slot.text
        return same

    def _place(self, texts: Sequence[str], rest: dict[str, str]) -> bool:
        changed = False
        last = {slot.key: place for place, slot in enumerate(self.slots)} if rest else {}
        for place, (slot, new) in enumerate(zip(self.slots, texts, strict=True)):
            text = new + rest.pop(slot.key, "") if last.get(slot.key) == place else new
            if text != slot.text:
                slot.holder[slot.name] = text
                changed = True
        return changed

    def _replace(self, texts: Sequence[str]) -> None:
        renamed = []
        for whole, new in zip(self.wholes, texts, strict=True):
            if new == whole.text:
                self._reader.remember(new)
            elif whole.is_name:
                renamed.append((whole, new))
            else:
                whole.holder[whole.name] = new
        for whole, new in renamed:  # last: until now the values stood under their old names
            whole.holder[new] = whole.holder.pop(whole.name)


class Cleanable(Protocol):
    """What a cleaner asks of an event."""

    @property
    def slots(self) -> Sequence[Slot]: ...

    @property
    def wholes(self) -> Sequence[Whole]: ...

    @property
    def ends(self) -> Sequence[str]: ...

    @property
    def value(self) -> Any: ...

    def encode(
        self,
        slots: Sequence[str],
        flushed: Mapping[str, str] | None = None,
        wholes: Sequence[str] = (),
        *,
        masked: bool = False,
    ) -> bytes: ...


class EventWriter(Protocol):
    """What an event needs of the reader that made it."""

    def write(self, name: str, value: Any, rest: Mapping[str, str], *, changed: bool, masked: bool) -> bytes: ...

    def remember(self, text: str) -> None: ...


class StreamReader(EventWriter, Protocol):
    """Reads one streamed answer. `close` gives what the end of the stream completes: call it once, at the end."""

    def feed(self, data: bytes) -> Sequence[Cleanable]: ...

    def close(self) -> Sequence[Cleanable]: ...


class TextCleaner(Protocol):
    """What cleans the texts of one answer: running text by key, whole texts at once."""

    @property
    def masked(self) -> bool: ...

    def feed(self, key: str, text: str) -> str: ...

    def close(self, key: str) -> str: ...

    def whole(self, text: str) -> str: ...


def cleaned(event: Cleanable, cleaner: TextCleaner) -> bytes:
    """`event` as it may be sent, every text of it having passed through `cleaner`."""
    slots = [cleaner.feed(slot.key, slot.text) for slot in event.slots]
    flushed = {key: cleaner.close(key) for key in event.ends}
    wholes = [cleaner.whole(whole.text) for whole in event.wholes]
    return event.encode(slots, flushed, wholes, masked=cleaner.masked)


class Memory:
    """Strings that were found clean in this stream and need no second look."""

    __slots__ = ("_clean",)

    def __init__(self) -> None:
        self._clean: set[str] = set()

    def __contains__(self, text: str) -> bool:
        return text in KNOWN or text in self._clean

    def remember(self, text: str) -> None:
        if len(self._clean) < MAX_REMEMBERED and len(text) <= MAX_REMEMBERED_CHARS:
            self._clean.add(text)


def strings(holder: Any, memory: Memory, found: list[Whole], depth: int = 0) -> None:
    """Add every string under `holder`, names included, that is not known to be clean."""
    if depth > MAX_DEPTH:
        raise UpstreamError(f"the server sent an event nested deeper than {MAX_DEPTH} levels")
    items = enumerate(holder) if type(holder) is list else holder.items()
    for name, value in items:
        if type(name) is str and name not in memory:
            found.append(Whole(name, holder, name, is_name=True))
        string(holder, name, value, memory, found, depth)


def string(holder: Any, name: Any, value: Any, memory: Memory, found: list[Whole], depth: int = 0) -> None:
    """The same for the one value at `holder[name]`, without its name."""
    if type(value) is str:
        if value and value not in memory:
            found.append(Whole(value, holder, name))
    elif type(value) is dict or type(value) is list:
        strings(value, memory, found, depth + 1)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_constant)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def load(text: str) -> Any:
    """An event's JSON; raises UpstreamError when it is none."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise UpstreamError("the server sent a stream event that is not JSON") from None


def dump(value: Any) -> str:
    """Its JSON again, on one line; lone surrogates stay escaped as they must."""
    try:
        text = _ENCODER.encode(value)
    except (ValueError, RecursionError):  # a number beyond a float's range was read as infinite
        raise UpstreamError("the server sent a stream event that can't be written again") from None
    return text if text.isascii() or not _lone(text) else json.dumps(value, separators=(",", ":"), allow_nan=False)


def _lone(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
