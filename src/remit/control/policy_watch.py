"""The policy directory, watched: a good edit goes in force whole, a broken one leaves the last good set."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from remit.control.realm import PoliciesInForce
from remit.errors import PolicyError
from remit.policy import PolicyFile, load, read_directory, write_starter

LOOK_SECONDS: Final = 0.5


def first(directory: Path) -> PoliciesInForce:
    """The policies to start with, the starter ones if there are none yet; raises PolicyError: no policy, no start."""
    if not directory.exists():
        write_starter(directory)
    files = read_directory(directory)
    return PoliciesInForce(files, load(files).digest)


async def watch(
    directory: Path, last: PoliciesInForce, changed: Callable[[PoliciesInForce], Awaitable[None]]
) -> None:
    """Look twice a second, for ever. `changed` gets a new good set, or the last good one with a warning."""
    seen: tuple[PolicyFile, ...] | str = last.files
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now, found = _look(directory, last)
        if found == seen:
            continue
        seen = found
        if now != last:
            last = now
            await changed(now)


def _look(directory: Path, last: PoliciesInForce) -> tuple[PoliciesInForce, tuple[PolicyFile, ...] | str]:
    """What is in force after this look, and what was seen (the files, or what is wrong with them)."""
    try:
        files = read_directory(directory)
        if files == last.files:
            return PoliciesInForce(files, last.digest), files
        return PoliciesInForce(files, load(files).digest), files
    except PolicyError as error:
        return PoliciesInForce(last.files, last.digest, str(error)), str(error)
