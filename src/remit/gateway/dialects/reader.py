"""What the readers of all streamed dialects share: framing, open keys, and the end of a stream."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from remit.errors import UpstreamError
from remit.gateway import sse
from remit.gateway.dialects.alike import Alike, learn
from remit.gateway.dialects.scrub import base_names, hide_cache
from remit.gateway.dialects.stream import Cleanable, Event, Memory, Slot, Whole, dump, load, strings
from remit.gateway.ndjson import LineParser
from remit.gateway.routes import Route

MAX_KEYS: Final = 1024  # running texts in one answer: choices times fields
MAX_WAITING: Final = 16  # events after an end; a server sends two or three: usage, a last empty one
MAX_NAME_CHARS: Final = 4096  # a tool's name that a server sends in pieces
MAX_PATIENCE: Final = 64  # events between two tries to learn what events have in common, where it doesn't last
DONE: Final = "[DONE]"
_NAMES: Final = frozenset({"message", "error", "ping", "done"})  # event names that may stand without a `type`


class Found:
    """The texts found in one event, while it is read."""

    __slots__ = ("ends", "slots", "waits", "wholes")

    def __init__(self) -> None:
        self.waits = False
        self.slots: list[Slot] = []
        self.wholes: list[Whole] = []
        self.ends: list[str] = []


class Reader:
    """Reads a stream of JSON objects. A dialect says in `read` which strings are running text and what they end.

    A stream of objects that no dialect knows is read by this class itself: each string is a text of its own.

    What a server says of an end is not believed at once, since whatever a cleaner holds back of a text goes out with
    its end. An event that ends a choice or the answer (`end`) waits, with those after it, until text of another key
    or the end of the stream comes; text of the same key undoes its end. An event that ends a part (`part_ended`) and
    `[DONE]` go on at once. Either way a text that goes on after its end was passed on breaks the stream off.
    """

    __slots__ = (
        *("_alike", "_ended", "_patience", "_shapes", "_unlearned", "_waiting"),
        *("last", "memory", "open", "parser", "route"),
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.memory = Memory()
        self.open: dict[str, None] = {}
        self.last: dict[str, Any] = {}
        self._shapes: dict[str, Any] = {}
        self._ended: set[str] = set()
        self._waiting: list[Event] = []
        self._alike: Alike | None = None
        self._patience = 1
        self._unlearned = 2  # the first text is what a person waits for: nothing is learned from it
        self.parser = sse.SseParser()

    @property
    def repeats(self) -> bool:
        """Whether an event says nothing but its own texts: no numbering, no names that go on in the next."""
        return False

    def feed(self, data: bytes) -> Sequence[Cleanable]:
        """The events that `data` completes; raises UpstreamError for bytes that are no such stream."""
        if not self.repeats or self._waiting or not self.parser.empty:
            return [event for name, text in self.split(data) for event in self._events(name, text)]
        alike = None if self._alike is None else self._alike.event(data)
        if alike is not None and alike.slots[0].key not in self._ended:
            self.open[alike.slots[0].key] = None
            self._patience = 1
            return (alike,)
        events = [event for name, text in self.split(data) for event in self._events(name, text)]
        if len(events) == 1 and not self._waiting and self.parser.empty:
            self._learn(data, events[0])
        return events

    def _written(self, name: str, value: Any, masked: bool) -> bytes:
        return self.write(name, value, {}, changed=masked, masked=masked)

    def _learn(self, data: bytes, event: Event) -> None:
        """Learn the kind of `event`, unless what was learned before was of no use: then ever more rarely."""
        self._unlearned -= 1
        if self._unlearned <= 0:
            self._alike = learn(data, event, _parsed, self._written)
            self._unlearned = self._patience = min(self._patience * 2, MAX_PATIENCE)

    def close(self) -> Sequence[Cleanable]:
        """The events that the end of the stream completes. A last event that was cut off is left out."""
        events = []
        for name, text in self.rest():
            try:
                events += self._events(name, text)
            except UpstreamError:  # cut off in the middle: nothing of it may pass
                break
        events += self._released()
        if self.open:
            events.append(Event(self, "", None, [], [], self.all_open()))
        return events

    def split(self, data: bytes) -> Sequence[tuple[str, str]]:
        """Name and text of each event that `data` completes."""
        return self.parser.feed(data)

    def rest(self) -> Sequence[tuple[str, str]]:
        return self.parser.close()

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        """Find the texts of one event."""
        strings(value, self.memory, found.wholes)

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """An event that adds `text` to the running text `key`, as the server would have sent it."""
        raise NotImplementedError

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        """Take out what tells more than the cleaned text. `changed`: text of this event was held back or masked."""
        hide_cache(value)

    def slot(self, found: Found, key: str, holder: Any, name: str | int, shape: Any) -> None:
        """Add running text. `shape` is what `delta` needs to know to build more of it."""
        if key in self._ended:
            raise UpstreamError("the server went on with a text that it had ended")
        if key not in self._shapes:
            if len(self._shapes) >= MAX_KEYS:
                raise UpstreamError(f"the server sent an answer of more than {MAX_KEYS} texts")
            self._shapes[key] = shape
        self.open[key] = None
        found.slots.append(Slot(key, holder[name], holder, name))

    def shape(self, key: str) -> Any:
        return self._shapes[key]

    def end(self, found: Found, prefix: str = "") -> None:
        """The open texts whose key starts with `prefix` end with this event, unless they go on."""
        for key in [key for key in self.open if key.startswith(prefix)]:
            del self.open[key]
            found.ends.append(key)
            found.waits = True

    def part_ended(self, found: Found, prefix: str) -> None:
        """The same for good: more of these texts breaks the stream off."""
        for key in [key for key in self.open if key.startswith(prefix)]:
            del self.open[key]
            found.ends.append(key)
            self._ended.add(key)

    def part_begun(self, prefix: str = "") -> None:
        """The server begins parts anew: texts whose key starts with `prefix` are others than those that ended."""
        self._ended = {key for key in self._ended if not key.startswith(prefix)}

    def all_open(self) -> list[str]:
        keys, self.open = list(self.open), {}
        return keys

    def remember(self, text: str) -> None:
        self.memory.remember(text)

    def write(self, name: str, value: Any, rest: Mapping[str, str], *, changed: bool, masked: bool) -> bytes:
        if type(value) is dict:
            self.scrub(value, changed=changed, masked=masked)
            if self.route.server == "llama.cpp":
                base_names(value)
            self.last = value
        before = b"".join(self.frame(*self.delta(key, text, self.last)) for key, text in rest.items())
        if value is None:
            return before
        if value == DONE:
            return before + b"data: [DONE]\n\n"
        return before + self.frame(name, value) if value else before + b":\n\n"

    def frame(self, name: str, value: dict[str, Any]) -> bytes:
        return sse.encode(_named(name, value) if name else "", dump(value))

    def _events(self, name: str, text: str) -> list[Event]:
        """What may be passed on once this event has come, in order."""
        found = Found()
        event = self._event(name, text, found)
        released: list[Event] = []
        if found.slots or text == DONE or len(self._waiting) >= MAX_WAITING:
            released = self._released({slot.key for slot in found.slots})
        if found.waits or self._waiting:
            self._waiting.append(event)
            return released
        return [*released, event]

    def _released(self, going_on: Collection[str] = ()) -> list[Event]:
        """The events that waited; of their ends only those whose text doesn't go on."""
        events, self._waiting = self._waiting, []
        for event in events:
            event.ends = [key for key in event.ends if key not in going_on]
            self._ended.update(event.ends)
        return events

    def _event(self, name: str, text: str, found: Found) -> Event:
        value: Any = ""
        if text == DONE:
            value = DONE
            found.ends = self.all_open()
            self._ended.update(found.ends)
        elif text:
            value = load(text)
            if type(value) is not dict or not value:
                raise UpstreamError("the server sent a stream event that is not a JSON object")
            self.read(name, value, found)
        return Event(self, name, value, found.slots, found.wholes, found.ends)


class LineReader(Reader):
    """The same over newline-delimited JSON."""

    __slots__ = ("lines",)

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self.lines = LineParser()

    def split(self, data: bytes) -> Sequence[tuple[str, str]]:
        return [("", line) for line in self.lines.feed(data)]

    def rest(self) -> Sequence[tuple[str, str]]:
        return [("", line) for line in self.lines.close()]

    def frame(self, name: str, value: dict[str, Any]) -> bytes:
        return dump(value).encode("utf-8") + b"\n"


def _parsed(data: bytes) -> tuple[str, Any] | None:
    """Name and value of the one event that `data` is; None if it is anything else."""
    parser = sse.SseParser()
    events = parser.feed(data)
    if len(events) != 1 or not parser.empty or not events[0].data:
        return None
    try:
        return events[0].name, load(events[0].data)
    except UpstreamError:
        return None


def _named(name: str, value: dict[str, Any]) -> str:
    """An event's name as it may be sent: its cleaned `type`, or one of a few; anything else is left out."""
    kind = value.get("type")
    if type(kind) is str and kind and "\n" not in kind and "\r" not in kind:
        return kind
    return name if name in _NAMES else ""


def is_error(value: dict[str, Any]) -> bool:
    """Whether an event says that the answer failed; some servers write an empty `error` into each."""
    said = value.get("error")
    return (type(said) is dict or type(said) is str) and bool(said)
