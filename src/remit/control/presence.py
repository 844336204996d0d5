"""Whether people are at this machine now: looked at twice a second, and in force as soon as it is another."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from remit.config import Settings
from remit.control.logged_in import LoginPlaces, logged_in, stamps
from remit.control.proving import Proving
from remit.control.realm import Realm
from remit.persons.presence import Attendance, Login, Stamp
from remit.policy import Snapshot

LOOK_SECONDS: Final = 0.5

Seen = tuple[list[Login] | None, dict[str, Stamp]]


class Presence:
    """Keeps the realm's `presence` true. `idle` are the seconds for which a sign of somebody counts.

    What changes is told to the gateways and not to the log: it has no list of when people were at their desks, only
    with each decision whether its person was there.
    """

    def __init__(
        self,
        realm: Realm,
        push: Callable[[Snapshot], None],
        idle: float,
        places: LoginPlaces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._realm, self._push, self._clock = realm, push, clock
        self._places = places or LoginPlaces()
        self._attendance = Attendance(idle)

    def proved(self, uid: int) -> None:
        """A person with this account has just given a proof that takes them: a password, a passkey."""
        self._attendance.proved(uid, self._clock())

    async def mind(self) -> None:
        """Never ends."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once; what changed is on its way to the gateways when this returns."""
        logins, found = await asyncio.to_thread(self._read)
        now = self._clock()
        self._attendance.look(logins, found, now)
        presence = {human.name: self._attendance.of(human.uids, now) for human in self._realm.humans.values()}
        if presence != self._realm.presence:
            self._realm.presence = presence
            self._push(self._realm.snapshot())

    def _read(self) -> Seen:
        logins = logged_in(self._places)
        return logins, stamps(self._places, logins or ())


def presence(settings: Settings, realm: Realm, push: Callable[[Snapshot], None], proving: Proving) -> Presence:
    """As this machine has its logins; what people prove to `proving` is a sign of them, too."""
    made = Presence(realm, push, settings.presence.idle_seconds)
    proving.proved = made.proved
    return made
