"""A task's high-water mark: the most sensitive data that came in, and whether anything came from outside."""

from dataclasses import dataclass, replace
from typing import Final, Self

from remit.detect import Label

RANKS: Final = {Label.PUBLIC: 0, Label.INTERNAL: 1, Label.CONFIDENTIAL: 2, Label.RESTRICTED: 3}


@dataclass(frozen=True, slots=True)
class Mark:
    """It only rises: there is no way to lower one."""

    high: Label = Label.PUBLIC
    untrusted: bool = False

    def __post_init__(self) -> None:
        if self.high not in RANKS:
            raise ValueError(f"a mark's height is not {self.high!r}")

    @property
    def rank(self) -> int:
        """0 public, 1 internal, 2 confidential, 3 restricted: what is compared with a destination's clearance."""
        return RANKS[self.high]

    def raised(self, by: "Label | Mark") -> Self:
        if isinstance(by, Mark):
            higher = by.high if by.rank > self.rank else self.high
            return replace(self, high=higher, untrusted=self.untrusted or by.untrusted)
        if by is Label.UNTRUSTED:
            return replace(self, untrusted=True)
        return self.raised(Mark(by))
