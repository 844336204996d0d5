"""The grade of a deployment: how far its enforcement can be got around, from facts alone, never configured."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from remit.posture.fact import Fact

SEPARATE_UID: Final = "separate uid"
ATTESTOR: Final = "attestor running"
CODE: Final = "code out of reach"
STATE: Final = "state out of reach"
POLICIES: Final = "policies out of reach"
RAW_PORTS: Final = "raw ports out of reach"
WALLS: Final = "workload inside walls"

# What each grade needs, on top of the one before it; the first that is missing is the next step.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "B": (SEPARATE_UID, ATTESTOR, CODE, STATE, POLICIES, RAW_PORTS),
    "A": (WALLS,),
}
LOWEST: Final = "C"


@dataclass(frozen=True, slots=True)
class Grade:
    """`missing` are the facts that the next grade lacks; none at the highest."""

    letter: str
    missing: tuple[Fact, ...] = ()

    @property
    def header(self) -> str:
        """The value of the header `remit-grade`."""
        return f"{self.letter}; advisory" if self.letter == LOWEST else self.letter

    @property
    def why(self) -> str:
        if not self.missing:
            return "because every fact that was looked at holds"
        return "because " + ", ".join(f"`{fact.name}` is {fact.word}" for fact in self.missing)

    @property
    def raises(self) -> str:
        """The step that comes next, empty at the highest grade."""
        return self.missing[0].raises if self.missing else ""


def grade(facts: Iterable[Fact]) -> Grade:
    """The highest grade all of whose facts hold, and those of every grade below it.

    A fact that was not looked at is unknown; one that was seen twice holds only if it does each time.
    """
    seen: dict[str, Fact] = {}
    for fact in facts:
        if fact.name not in seen or seen[fact.name].holds:
            seen[fact.name] = fact
    letter = LOWEST
    for next_letter, needs in NEEDS.items():
        every = (seen.get(name) or Fact(name, None, "not looked at") for name in needs)
        if missing := tuple(fact for fact in every if fact.holds is not True):
            return Grade(letter, missing)
        letter = next_letter
    return Grade(letter)
