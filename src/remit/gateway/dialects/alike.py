"""Events of one stream that differ in a single text: read and written once, then known by the bytes around it.

A server repeats an event's envelope with every token. Where the bytes before and after the text are the same as in an
event that was parsed, the parser would stand in the same place before it and after it: what is around the text needs
no second reading, and is written as it was written then.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from remit.gateway.dialects.stream import Event, Slot, dump

_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]+\Z')  # a JSON string that stands for itself, and ends at its quote
_PROBE: Final = "remit-probe"

Write = Callable[[str, Any, bool], bytes]
"""Event name, value and whether something was masked to the bytes that are sent."""

Parse = Callable[[bytes], tuple[str, Any] | None]
"""The bytes of one whole event to its name and value; None if they are anything else."""


class Alike:
    """What all events of one kind have in common: the bytes around their one text, coming in and going out."""

    __slots__ = ("_after", "_around", "_before", "_out_after", "_out_before", "key")

    def __init__(self, key: str, before: bytes, after: bytes, out: tuple[bytes, bytes]) -> None:
        self.key, self._before, self._after = key, before, after
        self._around = len(before) + len(after)
        self._out_before, self._out_after = out

    def event(self, data: bytes) -> "AlikeEvent | None":
        """The one event that `data` is, if it is of this kind."""
        if len(data) <= self._around or not data.startswith(self._before) or not data.endswith(self._after):
            return None
        raw = data[len(self._before) : len(data) - len(self._after)]
        if _PLAIN.match(raw) is None:
            return None
        try:
            return AlikeEvent(self, raw.decode(), raw)
        except UnicodeDecodeError:
            return None

    def write(self, raw: bytes) -> bytes:
        return b"%b%b%b" % (self._out_before, raw, self._out_after)


class AlikeEvent:
    """One event: its text as a slot, and nothing else to be looked at. What a cleaner asks of any event."""

    __slots__ = ("_alike", "_raw", "_text", "slots")

    ends: Final = ()
    wholes: Final = ()
    value: Final = None  # it says nothing but its text

    def __init__(self, alike: Alike, text: str, raw: bytes) -> None:
        self._alike, self._text, self._raw = alike, text, raw
        self.slots = (Slot(alike.key, text, None, ""),)

    def encode(
        self,
        slots: Sequence[str],
        flushed: Mapping[str, str] | None = None,
        wholes: Sequence[str] = (),
        *,
        masked: bool = False,
    ) -> bytes:
        """The event with this text in place of its own; the rest is the same whatever was masked (see `learn`)."""
        text = slots[0]
        return self._alike.write(self._raw if text == self._text else dump(text)[1:-1].encode())


def learn(data: bytes, event: Event, parse: Parse, write: Write) -> Alike | None:
    """What `event`, read from `data`, has in common with those to come; None where that can't be told for certain.

    1. it has one text, all other strings of it are known to be clean, and it ends nothing; 2. its bytes with another
    text in that place are the same event with that text; 3. what is written doesn't depend on what was masked.
    """
    if len(event.slots) != 1 or event.wholes or event.ends:
        return None
    slot = event.slots[0]
    try:
        raw = slot.text.encode()
    except UnicodeEncodeError:
        return None
    before, quoted, after = data.partition(b'"%b"' % raw)
    if not quoted or _PLAIN.match(raw) is None:
        return None
    before, after = before + b'"', b'"' + after
    probe = before + _PROBE.encode() + after
    probed = parse(probe)
    if probed is None or not event.same_but_for(slot, _PROBE, *probed):
        return None
    plain, masked = (write(*(parse(probe) or probed), changed) for changed in (False, True))
    out = plain.split(_PROBE.encode())
    return Alike(slot.key, before, after, (out[0], out[1])) if plain == masked and len(out) == 2 else None
