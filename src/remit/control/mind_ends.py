"""Ends by time, seen within a second; and a clock that is set: that revives nothing and stops no gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from remit.control.endings import since_boot
from remit.control.realm import Realm
from remit.policy import Snapshot

LOOK_SECONDS: Final = 1.0
STEP_SECONDS: Final = 5.0  # a clock that is slewed moves by 0.5 ms a second (adjtime(3))


class Steps:
    """Whether `clock` was set, by the time since boot."""

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = since_boot) -> None:
        self._clock, self._steady = clock, steady
        self._apart = clock() - steady()

    def taken(self) -> bool:
        """Whether it was set by more than STEP_SECONDS since this said so last."""
        apart = self._clock() - self._steady()
        if abs(apart - self._apart) <= STEP_SECONDS:
            return False
        self._apart = apart
        return True


async def mind_ends(realm: Realm, deliver: Callable[[Snapshot], Awaitable[bool]]) -> None:
    """Look once a second, for ever. After a step of the clock the gateways get a Snapshot that is not over by it."""
    steps = Steps(realm.clock)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        realm.latest()
        realm.endings.keep_again()
        ended = await realm.tasking.end_those_over()
        await realm.tasking.forget_parts()
        if steps.taken() or ended:
            await deliver(realm.snapshot())
