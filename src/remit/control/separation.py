"""Roles that one person may not have together, looked for while Remit runs: an account may come to be another's."""

import asyncio
import pwd
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from remit.config import RolesSettings
from remit.config.role_pairs import Conflict, conflicts
from remit.control.roles import Reach, Role

LOOK_SECONDS: Final = 5.0

Act = Callable[[str, str, dict[str, Any]], Awaitable[None]]


class Separation:
    """Of one instance. `people` are those of the settings with their accounts."""

    def __init__(self, roles: RolesSettings, people: Mapping[str, tuple[int, ...]]) -> None:
        self._roles, self._people = roles, people

    def conflicts(self) -> tuple[Conflict, ...]:
        """Those that there are now."""
        return conflicts(self._roles, self._uids)

    def shown(self, reach: Reach) -> list[str]:
        """To those who see all, and to whom it is about."""
        return [str(one) for one in self.conflicts() if reach.role is not Role.PERSON or reach.name in one.names]

    def suspended(self, uids: Collection[int], name: str) -> bool:
        """Whether somebody has roles that don't go together: then they have none until that is mended."""
        mine = frozenset(uids)
        return any(name in one.names or mine & one.uids for one in self.conflicts())

    def _uids(self, name: str) -> frozenset[int]:
        """All accounts of whoever goes by that name: the account's uid, and the others of that person."""
        own = frozenset(self._people.get(name, ())) | _account(name)
        others = (frozenset(uids) for uids in self._people.values() if own & frozenset(uids))
        return own.union(*others)


async def mind(separation: Separation, act: Act, say: Callable[[dict[str, Any]], None]) -> None:
    """For ever: a conflict that arises is on record and said, once."""
    known: frozenset[Conflict] = frozenset()
    while True:
        now = frozenset(separation.conflicts())
        for one in sorted(now - known, key=str):
            say({"event": "note", "text": f"{one}: they have neither role until that is mended, as {one.why}"})
            await act("roles.conflict", "control", {"roles": list(one.roles), "uids": sorted(one.uids)})
        known = now
        await asyncio.sleep(LOOK_SECONDS)


def _account(name: str) -> frozenset[int]:
    try:
        return frozenset({pwd.getpwnam(name).pw_uid})
    except (KeyError, ValueError):
        return frozenset()
