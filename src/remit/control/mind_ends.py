"""Ends by time, seen within a second: written down, so that no clock that is set back revives them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from remit.control.realm import Realm
from remit.policy import Snapshot

LOOK_SECONDS: Final = 1.0


async def mind_ends(realm: Realm, deliver: Callable[[Snapshot], Awaitable[bool]]) -> None:
    """Look once a second, for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        realm.endings.keep_again()
        if await realm.tasking.end_those_over():
            await deliver(realm.snapshot())
