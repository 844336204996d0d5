"""Whether a person is at this machine: by their login sessions, and what is seen to be typed there; pure.

The kernel notes that a terminal was read from by its file's access time alone, in steps of 8 s (`tty_update_time`,
drivers/tty/tty_io.c). Whoever owns the file, so any agent of that uid, can set this time (utimensat(2)), but not
without the kernel setting the file's change time. So only an access time that moves while that one stays counts. The
kernel stamps by ticks of its clock: that one must be older than the look before, or it could be of a change after it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

HERE: Final = "here"
AWAY: Final = "away"
UNKNOWN: Final = "unknown"
SETTLED: Final = 1_000_000_000  # ns: some hundred ticks, should a machine be slow to count them


@dataclass(frozen=True, slots=True)
class Login:
    """One login session. `terminal` is its line (`pts/3`, `tty1`) or empty; `front`: nothing else is on its screen.

    `locked` and `idle` are what a desktop says of itself, None where it says nothing.
    """

    id: str
    uid: int
    terminal: str = ""
    graphical: bool = False
    front: bool = True
    locked: bool | None = None
    idle: bool | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """A terminal's file as it was `at` a time: which one, whose, when it was read from and changed (Unix ns)."""

    node: tuple[int, int]
    uid: int
    accessed: int
    changed: int
    at: int

    def read_since(self, before: "Stamp") -> bool:
        """Whether somebody's typing was read there since `before`, by the kernel's word and nobody else's."""
        same = (self.node, self.uid, self.changed) == (before.node, before.uid, before.changed)
        settled = before.changed + SETTLED <= before.at
        return same and settled and self.accessed != before.accessed


@dataclass(slots=True)
class _Watched:
    """What was seen of one session so far. `since` and `active` are monotonic seconds; None: never."""

    login: Login
    stamp: Stamp | None
    since: float
    active: float | None


@dataclass
class Attendance:
    """What was seen at each look. `idle` are the seconds for which a sign of somebody counts."""

    idle: float
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _told: bool = False
    _proved: dict[int, float] = field(default_factory=dict)

    def look(self, logins: Collection[Login] | None, stamps: Mapping[str, Stamp], now: float) -> None:
        """Take what is there at `now` (monotonic seconds). None: nothing tells who is logged in.

        A session that begins, a screen that is unlocked, and what is typed are signs of its person.
        """
        first = not self._told
        self._told = logins is not None
        before, self._watched = self._watched, {}
        for login in logins or ():
            stamp = stamps.get(login.terminal)
            stamp = stamp if stamp is not None and stamp.uid == login.uid else None  # another's tells nothing of them
            was = before.get(login.id)
            if was is None or was.login.uid != login.uid:
                self._watched[login.id] = _Watched(login, stamp, now, None if first else now)
            else:
                active = now if _sign(was, login, stamp) else was.active
                self._watched[login.id] = _Watched(login, stamp, was.since, active)

    def proved(self, uid: int, now: float) -> None:
        """A person with this account has just proved that they act."""
        self._proved[uid] = now

    def of(self, uids: Iterable[int], now: float) -> str:
        """Of the person with these accounts: HERE, AWAY, or UNKNOWN where it can't be told."""
        accounts = set(uids)
        own = [one for one in self._watched.values() if one.login.uid in accounts]
        found = [self._judge(one, now) for one in own]
        proved = any(now - self._proved[uid] < self.idle for uid in accounts & self._proved.keys())
        locked = any(one.login.locked for one in own)
        if HERE in found or (proved and not locked):
            return HERE
        return UNKNOWN if UNKNOWN in found or not self._told or not accounts else AWAY

    def _judge(self, one: _Watched, now: float) -> str:
        """By one session.

        1. nobody is at a screen that shows another session, is locked, or that its desktop calls idle
        2. somebody was there lately: a sign of them was seen
        3. nobody was, for as long as a sign counts: only of a terminal, and of a desktop that says when it is idle
        """
        login = one.login
        # 1
        if not login.front or login.locked or login.idle:
            return AWAY
        # 2
        if one.active is not None and now - one.active < self.idle:
            return HERE
        # 3
        if login.graphical:
            return HERE if login.idle is False and login.locked is False else UNKNOWN
        return AWAY if one.stamp is not None and now - one.since >= self.idle else UNKNOWN


def _sign(was: _Watched, login: Login, stamp: Stamp | None) -> bool:
    typed = stamp is not None and was.stamp is not None and stamp.read_since(was.stamp)
    unlocked = was.login.locked is True and login.locked is False
    return typed or unlocked
