"""The detector: every rule, built once a process; scans whole texts and opens streams."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from remit.detect import hyper
from remit.detect.anchors import Anchors
from remit.detect.catalogue import ALWAYS_MASKED, digest_of, load_rules
from remit.detect.finding import Finding, Label
from remit.detect.known import KnownValues
from remit.detect.matcher import Matcher, RuleMatcher, runs
from remit.detect.rule import Rule
from remit.detect.spans import Span, settle
from remit.detect.stream import TextStream

NOTHING_HELD: Final = KnownValues()
NO_LABELS: Final[frozenset[Label]] = frozenset()
ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


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
        matchers: list[Matcher] = [self._matchers[number] for number in sorted(set(numbers))]
        return tuple(settle(_spans([*_wanted(matchers, allowed), *held], text)))

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


def _spans(matchers: Collection[Matcher], text: str) -> list[Span]:
    lowered = text.lower() if text.isascii() else text.translate(ASCII_LOWER)
    return [run.span() for matcher in matchers for run in runs(matcher, text, lowered)]
