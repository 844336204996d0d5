"""What attestation remembers from one connection to the next. None of it is believed without a look."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.lineage import Lineages

MAX_RECENT: Final = 64
MAX_LIKELY: Final = 4  # each costs a look into its table, 15 to 40 µs


class Recent:
    """The processes that called lately: where the holder of a new connection is looked for first.

    Bounded; safe to share between threads. A number that was reused since is looked at in vain, no more.
    """

    def __init__(self, capacity: int = MAX_RECENT) -> None:
        self._capacity = capacity
        self._callers: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._lock = threading.Lock()

    def called(self, uid: int, pid: int) -> None:
        with self._lock:
            self._callers[uid, pid] = None
            self._callers.move_to_end((uid, pid))
            while len(self._callers) > self._capacity:
                self._callers.popitem(last=False)

    def likely(self, uid: int) -> list[int]:
        """The processes of `uid` that called last, the latest first; some may be gone."""
        with self._lock:
            pids = [pid for owner, pid in reversed(self._callers) if owner == uid]
        return pids[:MAX_LIKELY]

    def __len__(self) -> int:
        return len(self._callers)


@dataclass(frozen=True, slots=True)
class Memory:
    """Digests of executables, recent callers and their parents."""

    digests: Digests = EXECUTABLES
    recent: Recent = field(default_factory=Recent)
    lineages: Lineages = field(default_factory=Lineages)
