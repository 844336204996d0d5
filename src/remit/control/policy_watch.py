"""The policies, watched where they come from: a good edit goes in force whole, a broken one leaves the last good."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from remit.control.policy_found import Found
from remit.control.policy_source import Source
from remit.control.realm import PoliciesInForce
from remit.errors import PolicyError

LOOK_SECONDS: Final = 0.5
# What was refused is read again though nothing changed: the reason may lie elsewhere, as in a full disk.
AGAIN_SECONDS: Final = 30.0


def first(source: Source) -> PoliciesInForce:
    """The policies to start with; raises PolicyError: no policy, no start."""
    return _in_force(source.read())


async def watch(source: Source, last: PoliciesInForce, changed: Callable[[PoliciesInForce], Awaitable[None]]) -> None:
    """Look twice a second, for ever. `changed` gets a new good set, or the last good one with a warning."""
    looking = Looking(source, last)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = await asyncio.to_thread(looking.look, time.time())
        if now is not None:
            await changed(now)


class Looking:
    """What was seen last. Nothing is read, parsed or loaded twice that nobody wrote in between."""

    def __init__(self, source: Source, last: PoliciesInForce) -> None:
        self._source, self._last = source, last
        self._mark: object = None
        self._until = 0.0

    def look(self, now: float) -> PoliciesInForce | None:
        """What is in force from now (Unix seconds) on, or None where that is what was. Blocks."""
        mark = self._source.mark(now)
        if mark is not None and mark == self._mark and not self._due(now):
            return None
        self._mark, self._until = mark, now + AGAIN_SECONDS
        before, self._last = self._last, self._read()
        return self._last if self._last != before else None

    def _due(self, now: float) -> bool:
        return bool(self._last.warning) and not self._until - AGAIN_SECONDS <= now < self._until

    def _read(self) -> PoliciesInForce:
        try:
            return _in_force(self._source.read())
        except PolicyError as error:
            last = self._last
            return PoliciesInForce(last.files, last.digest, str(error), last.profiles, last.bundle)


def _in_force(found: Found) -> PoliciesInForce:
    return PoliciesInForce(found.files, found.policies.digest, "", found.policies.profiles, found.bundle)
