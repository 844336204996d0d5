"""Writes down acts of persons, but of refusals no flood: one by one at first, then by number."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from remit.persons.refusals import EACH_SECONDS, Refusals

REFUSED: Final = frozenset({"person.refused", "passkey.refused"})
FLOOD: Final = "person.refused"


class Record(Protocol):
    """Writes down an act of a person, durably."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


class Sparing:
    """A record in front of `record`. `clock` is monotonic seconds."""

    def __init__(self, record: Record, clock: Callable[[], float] = time.monotonic) -> None:
        self._record, self._clock = record, clock
        self._refusals = Refusals()

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        """As `record`; a refusal that is one too many is counted for its uid, or its person."""
        if what not in REFUSED:
            await self._record(what, subject, person, facts)
            return
        unrecorded = self._refusals.due(str(facts.get("uid", person)), self._clock())
        if unrecorded is not None:
            more = {"unrecorded": unrecorded} if unrecorded else {}
            await self._record(what, subject, person, {**facts, **more})

    async def mind(self) -> None:
        """Until cancelled: write down the number of those that were only counted."""
        try:
            while True:
                await asyncio.sleep(EACH_SECONDS)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """The numbers, now."""
        for visitor, unrecorded in self._refusals.left().items():
            facts = {"why": "as many more were refused", "visitor": visitor, "unrecorded": unrecorded}
            await self._record(FLOOD, "refusals", None, facts)
