"""One fact about a deployment: true, false or unknown, what it was seen by, and what would make it true."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """`holds` None is unknown, which never counts as true. `raises`: the next step for a person, empty when true."""

    name: str
    holds: bool | None
    evidence: str
    raises: str = ""

    @property
    def word(self) -> str:
        return "unknown" if self.holds is None else str(self.holds).lower()

    def to_dict(self) -> dict[str, Any]:
        step = "" if self.holds else self.raises
        return {"fact": self.name, "is": self.word, "evidence": self.evidence, "next_step": step}
