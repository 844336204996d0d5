"""The latest time that was seen: what had expired by it stays so when the clock is set back."""

from collections.abc import Callable
from typing import Final

FAR_AHEAD: Final = 900.0  # seconds; a clock that was further ahead was wrong, and must not refuse all for ever


class Latest:
    """Unix seconds to judge ends by: those of `clock`, standing still while it is set back by at most FAR_AHEAD.

    It knows only the times at which it was asked: ask it now and then. Only for ends, never for beginnings: what is
    issued just after the clock was set back may be over by it, and is refused until the clock has caught up.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()

    def __call__(self) -> float:
        now = self._clock()
        if not 0.0 <= self._seen - now <= FAR_AHEAD:
            self._seen = now
        return self._seen
