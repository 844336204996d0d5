"""Work that is done again and again, and may fail now and then: noted and tried again, unless it goes on failing."""

from collections.abc import Awaitable, Callable
from typing import Final

from remit.errors import AttestationError, DiscoveryError

MOST_FAILURES: Final = 20  # in a row: five minutes of looks every 15 s


class Patience:
    """Counts failures in a row of looks at the machine. `note` hears of each kind once in a row."""

    def __init__(self, note: Callable[[str], None], most: int = MOST_FAILURES) -> None:
        self._note, self._most = note, most
        self._failures = 0
        self._noted = ""

    async def tried(self, work: Awaitable[None]) -> bool:
        """Whether it was done. Raises the last failure when there were more than `most` in a row.

        Only what a look may meet is borne: processes that go, tables and files that can't be read just now.
        """
        try:
            await work
        except (AttestationError, DiscoveryError, OSError) as error:
            self._failures += 1
            if self._failures > self._most:
                raise
            self._tell(str(error))
            return False
        self._failures, self._noted = 0, ""
        return True

    def _tell(self, why: str) -> None:
        if why != self._noted:
            self._noted = why
            self._note(f"this host can't be looked at: {why}; what is guarded stays so, and it is tried again")
