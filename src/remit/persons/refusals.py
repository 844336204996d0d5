"""How many refusals of one visitor stand in the log one by one; the others are counted. Pure."""

from dataclasses import dataclass, field
from typing import Final

BURST: Final = 10  # one by one: more than a person gets wrong in a row
EACH_SECONDS: Final = 60.0  # after that one of these, with the number of the others
MAX_KNOWN: Final = 4096


@dataclass(slots=True)
class _Seen:
    room: float
    at: float
    unrecorded: int = 0


@dataclass(slots=True)
class Refusals:
    """By visitor. Times are monotonic seconds."""

    _seen: dict[str, _Seen] = field(default_factory=dict)

    def due(self, visitor: str, now: float) -> int | None:
        """Another one: how many were not recorded before this one, which is to be recorded; None if it is not."""
        self._forget(now)
        key = visitor if visitor in self._seen or len(self._seen) < MAX_KNOWN else ""  # the rest share one
        seen = self._seen.setdefault(key, _Seen(BURST, now))
        seen.room, seen.at = min(BURST, seen.room + (now - seen.at) / EACH_SECONDS), now
        if seen.room < 1:
            seen.unrecorded += 1
            return None
        before, seen.room, seen.unrecorded = seen.unrecorded, seen.room - 1, 0
        return before

    def left(self) -> dict[str, int]:
        """Those counted and not recorded until now, by visitor; from now on they count as recorded."""
        left = {visitor: seen.unrecorded for visitor, seen in self._seen.items() if seen.unrecorded}
        for visitor in left:
            self._seen[visitor].unrecorded = 0
        return left

    def _forget(self, now: float) -> None:
        """Who was not refused for so long that they have all their room again."""
        if len(self._seen) >= MAX_KNOWN:
            rested = BURST * EACH_SECONDS
            self._seen = {key: one for key, one in self._seen.items() if one.unrecorded or now - one.at < rested}
