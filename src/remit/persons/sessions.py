"""Proofs that hold for a while on one terminal or in one browser: at most 15 minutes; pure."""

import secrets
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

SECONDS: Final = 900.0  # a proof covers one act, or a session of at most this
MAX_OPEN: Final = 256
CODE_LETTERS: Final = 4
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz"  # none that is taken for another


def new_code() -> str:
    """What is shown on that terminal, to be typed back: who can't read it can't answer (1 in 279,841)."""
    return "".join(secrets.choice(_LETTERS) for _ in range(CODE_LETTERS))


@dataclass(frozen=True, slots=True)
class Held:
    """`evidence` is that of the proof it began with; until `ends` (monotonic seconds)."""

    evidence: str
    ends: float


@dataclass(slots=True)
class ProofSessions:
    """Those that are open, by what each is bound to: a terminal's session (`terminals.Leader`), a browser.

    Lost with control.
    """

    _open: dict[Hashable, Held] = field(default_factory=dict)  # oldest first

    def begin(self, leader: Hashable, evidence: str, now: float) -> None:
        """From a proof that was good. One that was open there is replaced."""
        self._open.pop(leader, None)
        self._open = {one: held for one, held in self._open.items() if now < held.ends}
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[leader] = Held(evidence, now + SECONDS)

    def held(self, leader: Hashable, now: float) -> Held | None:
        """What holds there; it is never made longer."""
        held = self._open.get(leader)
        return held if held is not None and now < held.ends else None

    def end(self, leader: Hashable) -> None:
        """Whoever acts there is not known to be the person any more."""
        self._open.pop(leader, None)
