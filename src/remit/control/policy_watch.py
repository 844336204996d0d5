"""The policies, watched where they come from: a good edit goes in force whole, a broken one leaves the last good."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from remit.control.policy_source import Source
from remit.control.realm import PoliciesInForce
from remit.errors import PolicyError
from remit.policy import PolicyFile, load

LOOK_SECONDS: Final = 0.5


def first(source: Source) -> PoliciesInForce:
    """The policies to start with; raises PolicyError: no policy, no start."""
    files = source()
    return PoliciesInForce(files, load(files).digest)


async def watch(source: Source, last: PoliciesInForce, changed: Callable[[PoliciesInForce], Awaitable[None]]) -> None:
    """Look twice a second, for ever. `changed` gets a new good set, or the last good one with a warning."""
    seen: tuple[PolicyFile, ...] | str = last.files
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now, found = _look(source, last)
        if found == seen:
            continue
        seen = found
        if now != last:
            last = now
            await changed(now)


def _look(source: Source, last: PoliciesInForce) -> tuple[PoliciesInForce, tuple[PolicyFile, ...] | str]:
    """What is in force after this look, and what was seen (the files, or what is wrong with them)."""
    try:
        files = source()
        if files == last.files:
            return PoliciesInForce(files, last.digest), files
        return PoliciesInForce(files, load(files).digest), files
    except PolicyError as error:
        return PoliciesInForce(last.files, last.digest, str(error)), str(error)
