"""Work that is done again and again, and may fail: noted, and tried again, for as long as it goes on failing.

Anybody on a machine can open so many files that nobody can look through them: that must end no guard.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from remit.errors import AttestationError, DiscoveryError

UNSEEN: Final = (AttestationError, DiscoveryError, OSError)  # what a look at the machine may meet
TOLD_EVERY: Final = 20  # failures in a row: five minutes of looks every 15 s


class Patience:
    """Counts failures in a row of looks at the machine. `note` hears of each kind, and again `every` so many."""

    def __init__(self, note: Callable[[str], None], every: int = TOLD_EVERY) -> None:
        self._note, self._every = note, every
        self._failures = 0
        self._noted = ""

    async def tried(self, work: Awaitable[None]) -> bool:
        """Whether it was done.

        Only what a look may meet is borne: processes that go, tables and files that can't be read just now.
        """
        try:
            await work
        except UNSEEN as error:
            self._tell(str(error))
            self._failures += 1
            return False
        self._failures, self._noted = 0, ""
        return True

    def _tell(self, why: str) -> None:
        if why != self._noted or self._failures % self._every == 0:
            self._noted = why
            self._note(f"this host can't be looked at: {why}; what is guarded stays so, and it is tried again")
