"""The detector: every rule, built once a process; scans whole texts and opens streams."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from remit.detect import hyper
from remit.detect.anchors import Anchors
from remit.detect.catalogue import ALWAYS_MASKED, digest_of, load_rules
from remit.detect.finding import Finding, Label
from remit.detect.known import KnownValues
from remit.detect.matcher import LEFT_CONTEXT, Matcher, RuleMatcher, runs
from remit.detect.rule import Rule
from remit.detect.spans import settle
from remit.detect.stream import TextStream

NOTHING_HELD: Final = KnownValues()
NO_LABELS: Final[frozenset[Label]] = frozenset()
BLOCK: Final = 128  # characters; a look at one takes the filter under 1 µs
OVERLAP: Final = 128  # characters; almost every rule's matches are shorter. The others are looked for everywhere


class Detector:
    """Finds what `rules` describe and what a KnownValues holds.

    `allowed` labels are not looked for, except by ALWAYS_MASKED rules. Building loads the compiled filter from
    directory `cache`, or compiles it (about a second) and leaves it there.
    """

    def __init__(self, rules: Sequence[Rule] | None = None, *, cache: Path | None = None) -> None:
        self.rules = load_rules() if rules is None else tuple(rules)
        self._matchers = [RuleMatcher(rule) for rule in self.rules]
        self._filter = hyper.build([rule.beginnings for rule in self.rules], digest_of(self.rules), cache)
        self._anchors: dict[tuple[frozenset[Label], KnownValues], Anchors] = {}

    def suspects(self, text: str, known: KnownValues = NOTHING_HELD) -> bool:
        """Whether anything may be found in `text`; quick, and never wrongly False for any part of it."""
        return bool(self._filter.numbers(text)) or bool(known.present(text))

    def scan(
        self, text: str, *, known: KnownValues = NOTHING_HELD, allowed: frozenset[Label] = NO_LABELS
    ) -> tuple[Finding, ...]:
        """What is found in `text`: sorted, disjoint, in characters."""
        numbers = self._filter.numbers(text)
        held = known.present(text)
        if not numbers and not held:
            return ()
        spans = [run.span() for form in held for run in runs(form, text, [(0, len(text))])]
        for number, stretches in self._places(text, numbers).items():
            matcher = self._matchers[number]
            if matcher.label not in allowed or matcher.rule_id in ALWAYS_MASKED:
                spans += [run.span() for run in runs(matcher, text, stretches)]
        return tuple(settle(spans))

    def _places(self, text: str, numbers: Collection[int]) -> dict[int, list[tuple[int, int]]]:
        """Where a match of each rule of `numbers` may begin: what the filter says of one block after another.

        So hostile text pays for a rule only where it holds what that rule is about.
        """
        everywhere = [(0, len(text))]
        if len(text) <= BLOCK + OVERLAP:
            return dict.fromkeys(numbers, everywhere)
        places = {number: everywhere for number in numbers if self.rules[number].max_length >= OVERLAP}
        for start in range(0, len(text), BLOCK):
            end = start + BLOCK
            for number in set(self._filter.numbers(text[max(0, start - LEFT_CONTEXT) : end + OVERLAP])):
                if places.get(number) is not everywhere:
                    _add(places.setdefault(number, []), start, min(end, len(text)))
        return places

    def stream(self, *, known: KnownValues = NOTHING_HELD, allowed: frozenset[Label] = NO_LABELS) -> TextStream:
        """A stream that finds in pieces what `scan` would find in the whole."""
        return TextStream(self._automaton(allowed, known))

    def _automaton(self, allowed: frozenset[Label], known: KnownValues) -> Anchors:
        """One automaton a set of labels for the newest known values: older ones are of no further use."""
        key = (allowed, known)
        if key not in self._anchors:
            self._anchors = {old: kept for old, kept in self._anchors.items() if old[1] is known}
            self._anchors[key] = Anchors([*_wanted(self._matchers, allowed), *known.forms])
        return self._anchors[key]


def _wanted(matchers: Collection[Matcher], allowed: frozenset[Label]) -> list[Matcher]:
    return [m for m in matchers if m.label not in allowed or m.rule_id in ALWAYS_MASKED]


def _add(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a stretch after the others, as part of the last one if it touches it."""
    if stretches and stretches[-1][1] == start:
        start = stretches.pop()[0]
    stretches.append((start, end))
