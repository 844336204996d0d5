"""Names and homes of accounts, kept for a moment: an account database on the network may take its time."""

import grp
import pwd
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_NAMES: Final = 1024
MAX_AGE: Final = 60.0  # seconds; a name proves no more than its number, which is read each time

_Key = tuple[str, int]


class Accounts:
    """A bounded cache of names; safe to share between threads. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, capacity: int = MAX_NAMES) -> None:
        self._clock = clock
        self._capacity = capacity
        self._names: OrderedDict[_Key, tuple[str | None, float]] = OrderedDict()
        self._lock = threading.Lock()

    def user(self, uid: int) -> str | None:
        """None for a uid without an account."""
        return self._name(("user", uid), lambda: pwd.getpwuid(uid).pw_name)

    def home(self, uid: int) -> str | None:
        """The home directory; None for a uid without an account."""
        return self._name(("home", uid), lambda: pwd.getpwuid(uid).pw_dir)

    def group(self, gid: int) -> str | None:
        return self._name(("group", gid), lambda: grp.getgrgid(gid).gr_name)

    def _name(self, key: _Key, look_up: Callable[[], str]) -> str | None:
        now = self._clock()
        with self._lock:
            name, read = self._names.get(key, (None, float("-inf")))
        if now - read <= MAX_AGE:
            return name
        try:
            name = look_up()
        except (KeyError, OverflowError):
            name = None
        self._keep(key, name, now)
        return name

    def _keep(self, key: _Key, name: str | None, now: float) -> None:
        with self._lock:
            self._names[key] = (name, now)
            self._names.move_to_end(key)
            while len(self._names) > self._capacity:
                self._names.popitem(last=False)

    def __len__(self) -> int:
        return len(self._names)


ACCOUNTS: Final = Accounts()  # the same fact for every asker in this process
