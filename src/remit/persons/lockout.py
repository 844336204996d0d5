"""Wrong passwords make an account wait, ever longer; pure. Break-glass never asks it."""

from dataclasses import dataclass, field
from typing import Final

FREE: Final = 3  # wrong ones before anybody waits: people mistype
FIRST_SECONDS: Final = 2.0  # doubled with each wrong one after that
MOST_SECONDS: Final = 900.0
FORGET_SECONDS: Final = (
    1800.0  # each of these without a wrong one makes up for one: twice MOST, so waiting never pays
)
MAX_ACCOUNTS: Final = 4096


@dataclass(frozen=True, slots=True)
class _Wrong:
    count: int
    last: float


@dataclass(slots=True)
class Lockout:
    """By uid. Times are monotonic seconds. One that is full makes every account wait that it doesn't know."""

    _wrong: dict[int, _Wrong] = field(default_factory=dict)

    def wait(self, uid: int, now: float) -> float:
        """Seconds until the next password of this account is looked at; 0 when that is now."""
        one = self._wrong.get(uid)
        if one is None:
            return 0.0 if self._has_room(now) else FIRST_SECONDS
        return max(0.0, one.last + _delay(one.count) - now)

    def wrong(self, uid: int, now: float) -> float:
        """Another wrong one: the seconds until the next is looked at."""
        count = self._count(uid, now) + 1
        if uid in self._wrong or self._has_room(now):
            self._wrong[uid] = _Wrong(count, now)
        return self.wait(uid, now)

    def right(self, uid: int) -> None:
        """The right one: all is forgotten."""
        self._wrong.pop(uid, None)

    def _count(self, uid: int, now: float) -> int:
        one = self._wrong.get(uid)
        return max(0, one.count - int((now - one.last) / FORGET_SECONDS)) if one is not None else 0

    def _has_room(self, now: float) -> bool:
        """Nobody who waits still gives way: else whoever fills it would be free of it."""
        if len(self._wrong) >= MAX_ACCOUNTS:
            self._wrong = {uid: one for uid, one in self._wrong.items() if self._count(uid, now)}
        return len(self._wrong) < MAX_ACCOUNTS


def _delay(count: int) -> float:
    if count < FREE:
        return 0.0
    return min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(count - FREE, 30))
