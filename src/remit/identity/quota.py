"""How much of something each local caller has at once: one too many is refused to that caller alone."""

from collections import Counter
from dataclasses import dataclass, field

from remit.identity.peer import PeerCredentials


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `process` for one process, and `uid` for all processes of one uid: each can make more of itself."""

    process: int
    uid: int
    _processes: Counter[int] = field(default_factory=Counter, init=False)
    _uids: Counter[int] = field(default_factory=Counter, init=False)

    def take(self, peer: PeerCredentials) -> bool:
        """Count one more for `peer`, unless it has its fill. Who gets True gives it back, once."""
        if self._processes[peer.pid] >= self.process or self._uids[peer.uid] >= self.uid:
            return False
        self._processes[peer.pid] += 1
        self._uids[peer.uid] += 1
        return True

    def give_back(self, peer: PeerCredentials) -> None:
        for counts, key in ((self._processes, peer.pid), (self._uids, peer.uid)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]


@dataclass(slots=True)
class Room:
    """Bytes that may be held at once."""

    left: int

    def take(self, size: int) -> bool:
        """Hold that many more, if there is room. Who gets True gives them back, once."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        self.left += size
