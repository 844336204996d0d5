"""An automaton that reads text character by character and knows each anchor that ends, or may be about to.

Its states are built as texts reach them. One dictionary look-up a character is all that a clean text costs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from remit.detect.matcher import Matcher

WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
HEX: Final = frozenset("0123456789ABCDEFabcdef")

# What stands before the next character: may a rule begin there that must not begin inside a word?
FREE, INSIDE, BACKSLASH, PERCENT, PERCENT_HEX = range(5)


def _before(before: int, char: str) -> int:
    """The same rule as `matcher.WORD_BEFORE`, one character at a time."""
    if (before == BACKSLASH and char in "nrt") or (before == PERCENT_HEX and char in HEX):
        return FREE
    if before == PERCENT and char in HEX:
        return PERCENT_HEX
    if char == "\\":
        return BACKSLASH
    if char == "%":
        return PERCENT
    return INSIDE if char in WORD else FREE


class AnchorSeen(Exception):  # noqa: N818 - not an error
    """An anchor ended: read this piece again with `Anchors.read`."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One literal of one matcher; `spellings` says which characters fit at each place."""

    matcher: Matcher
    spellings: tuple[str, ...]


class State(dict[str, "State"]):
    """What has been read: `partial` holds (anchor, characters read of it). `depth` is the longest of these."""

    __slots__ = ("_anchors", "before", "depth", "ended", "partial", "with_end")

    def __init__(
        self,
        anchors: "Anchors",
        partial: frozenset[tuple[int, int]],
        before: int,
        ended: tuple[tuple[Matcher, int], ...],
    ) -> None:
        super().__init__()
        self._anchors, self.partial, self.before, self.ended = anchors, partial, before, ended
        self.depth = max((read for _, read in partial), default=0)
        self.with_end: dict[str, State] = {}

    def __missing__(self, char: str) -> "State":
        after = self._anchors.after(self, char)
        if after.ended:
            raise AnchorSeen
        return after


class Anchors:
    """The automaton over the anchors of some matchers; it starts at `start`."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self._anchors = [
            Anchor(matcher, tuple(_spellings(char, matcher.ignore_case) for char in literal))
            for matcher in matchers
            for literal in matcher.anchors
        ]
        self._first: dict[str, list[int]] = {}
        for number, anchor in enumerate(self._anchors):
            for char in anchor.spellings[0]:
                self._first.setdefault(char, []).append(number)
        spelt = {char for anchor in self._anchors for spelling in anchor.spellings for char in spelling}
        self._alphabet = spelt | {chr(code) for code in range(128)}
        self._states: dict[tuple[frozenset[tuple[int, int]], int], State] = {}
        self.start = self._state(frozenset(), FREE)

    def after(self, state: State, char: str) -> State:
        """The state after one more character; remembered, unless the character is one that no anchor holds."""
        if char not in self._alphabet:
            return self._state(frozenset(), FREE)
        if char in state.with_end:
            return state.with_end[char]
        known = self._step(state, char)
        if known.ended:
            state.with_end[char] = known
        else:
            state[char] = known
        return known

    def _step(self, state: State, char: str) -> State:
        going = [
            (number, read + 1) for number, read in state.partial if char in self._anchors[number].spellings[read]
        ]
        going += [(number, 1) for number in self._first.get(char, ()) if self._may_begin(number, state.before)]
        ended = [(number, read) for number, read in going if read == len(self._anchors[number].spellings)]
        partial = frozenset(going) - frozenset(ended)
        before = _before(state.before, char)
        if not ended:
            return self._state(partial, before)
        return State(self, partial, before, tuple((self._anchors[number].matcher, read) for number, read in ended))

    def _may_begin(self, number: int, before: int) -> bool:
        return before not in (INSIDE, PERCENT_HEX) or self._anchors[number].matcher.anywhere

    def _state(self, partial: frozenset[tuple[int, int]], before: int) -> State:
        key = (partial, before)
        if key not in self._states:
            self._states[key] = State(self, partial, before, ())
        return self._states[key]


def _spellings(char: str, ignore_case: bool) -> str:
    return char.lower() + char.upper() if ignore_case and char.isalpha() else char
