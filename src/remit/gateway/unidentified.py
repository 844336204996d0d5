"""Refusals of peers that can't be identified: counted per uid and second, so that a flood can't fill the log."""

from collections.abc import Callable
from typing import Final

from remit.audit import AuditLog, Refusals
from remit.errors import AuditError

MAX_KEYS: Final = 256
MAX_REASON: Final = 200


class Unidentified:
    """Counts refusals and writes one record for each uid and second. `uid` None means that not even that is known."""

    def __init__(self, audit: AuditLog, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._audit, self._clock, self._monotonic = audit, clock, monotonic
        self._counts: dict[tuple[int | None, int], tuple[int, str]] = {}

    def count(self, uid: int | None, reason: str) -> None:
        key = (uid, int(self._clock()))
        if key not in self._counts and len(self._counts) >= MAX_KEYS:
            self.flush()
        seen, first = self._counts.get(key, (0, reason[:MAX_REASON]))
        self._counts[key] = (seen + 1, first)

    def flush(self) -> None:
        """Write what was counted; called once a second."""
        counts, self._counts = self._counts, {}
        for (uid, second), (count, reason) in counts.items():
            try:
                self._audit.note(Refusals(uid, second, count, reason, self._clock(), self._monotonic()))
            except AuditError:
                return  # nothing was let through; while the log is closed nothing will be
