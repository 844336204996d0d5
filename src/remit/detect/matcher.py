"""One rule, compiled: where it matches, and whether more text could still change that.

The whole-text scan and the stream both decide through here, so they can't disagree.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

import regex

from remit.detect.checks import CHECKS, random_enough
from remit.detect.finding import Label
from remit.detect.rule import LEAD, Rule
from remit.detect.spans import Span

# A word character before an anchor means it is inside another word, unless that is the end of an escape
# (`\n`, `%3D`): those stand before secrets in JSON inside strings and in URLs.
WORD_BEFORE: Final = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
# The same, one character further on.
WORD_BEFORE_ONE: Final = r"(?:(?<![A-Za-z0-9_](?s:.))|(?<=\\[nrt](?s:.))|(?<=%[0-9A-Fa-f]{2}(?s:.)))"
LEFT_CONTEXT: Final = LEAD  # characters; WORD_BEFORE looks back over 3
FLOOD: Final = 4_000  # matches of one rule, about 10 µs each; the next one goes on to the end of the text
NESTED_LIMIT: Final = 4  # ordinary text has one: `key: token=...`
TERMINATOR_LENGTH: Final = 128  # characters; a cut terminator is looked for again from this far back


class Hit(NamedTuple):  # a tuple, because a frozen dataclass takes four times as long to make
    """A match up to `end`, of which `secret` to `secret_end` is masked if it `counts`.

    It `grows` if what follows may belong to it; from `limit` on only a terminator ends it.
    """

    secret: int
    secret_end: int
    end: int
    limit: int
    counts: bool
    grows: bool


@dataclass(slots=True)
class Run:
    """A match that is being followed to its end: `start` to `end` are masked so far.

    An `endless` one goes on to the end of the text. `seen` is where reading goes on, `limit` where only a terminator
    ends it, `core_end` where one may begin.
    """

    matcher: "Matcher"
    start: int
    end: int
    core_end: int
    limit: int
    seen: int
    endless: bool = False

    def follow(self, text: str) -> bool:
        """Take it as far as `text` goes; whether its end was found."""
        if self.endless:
            self.end = self.seen = len(text)
            return False
        return self.matcher.follow(self, text)

    def span(self) -> Span:
        return Span(self.start, self.end, self.matcher.rule_id, self.matcher.label, self.matcher.generic)

    def shift(self, by: int) -> None:
        self.start, self.end, self.core_end = self.start - by, self.end - by, self.core_end - by
        self.limit, self.seen = self.limit - by, self.seen - by


@dataclass(slots=True)
class Rejected:
    """How deep a rule's matches that don't count lie in one another, and where the last of them ended."""

    end: int = -1
    depth: int = 0

    def too_deep(self, hit: Hit, start: int) -> bool:
        """Whether `hit`, which begins at `start` and does not count, is taken for a secret all the same.

        Looking into each of many openings inside one another would cost their number times their length.
        """
        self.depth = self.depth + 1 if start < self.end else 0
        self.end = hit.end
        return self.depth >= NESTED_LIMIT


class Matcher(Protocol):
    """What the scan and the stream need of a rule or of a value that Remit holds."""

    @property
    def rule_id(self) -> str: ...
    @property
    def label(self) -> Label: ...
    @property
    def anchors(self) -> tuple[str, ...]: ...
    @property
    def ignore_case(self) -> bool: ...
    @property
    def anywhere(self) -> bool: ...
    @property
    def generic(self) -> bool: ...

    def live(self, text: str, start: int) -> bool:
        """Whether characters after the end of `text` could still make, unmake or change the match at `start`."""

    def match(self, text: str, start: int) -> Hit | None: ...

    def seek(self, text: str, start: int, end: int) -> int:
        """The first place from `start` on at which `match` may find something, `end` or more if there is none."""

    def follow(self, run: Run, text: str) -> bool:
        """Take `run` as far as `text` goes; whether its end was found."""


@dataclass(frozen=True, eq=False)
class RuleMatcher:
    """A catalogue rule as a matcher. Regexes are compiled on first use."""

    rule: Rule
    rule_id: str = field(init=False)
    label: Label = field(init=False)
    anchors: tuple[str, ...] = field(init=False)
    ignore_case: bool = field(init=False)
    anywhere: bool = field(init=False)
    generic: bool = field(init=False)

    def __post_init__(self) -> None:
        for name, value in (
            ("rule_id", self.rule.id),
            ("label", self.rule.label),
            ("anchors", self.rule.anchors),
            ("ignore_case", self.rule.ignore_case),
            ("anywhere", self.rule.anywhere),
            ("generic", self.rule.generic),
        ):
            object.__setattr__(self, name, value)

    @cached_property
    def _partial(self) -> Any:
        return regex.compile(self.rule.core, regex.ASCII)

    @cached_property
    def _full(self) -> re.Pattern[str]:
        before = "" if self.rule.anywhere else WORD_BEFORE
        return re.compile(before + self.rule.eager + self._after, re.ASCII)

    @cached_property
    def _seeker(self) -> re.Pattern[str]:
        before = "" if self.rule.anywhere else WORD_BEFORE_ONE
        return re.compile(self.rule.seeker(before) + self._after, re.ASCII)

    @property
    def _after(self) -> str:
        return f"(?!{self.rule.body})" if self.rule.exact else ""

    @cached_property
    def _body(self) -> re.Pattern[str]:
        return re.compile(f"{self.rule.body}*", re.ASCII)

    @cached_property
    def _terminator(self) -> re.Pattern[str]:
        return re.compile(self.rule.terminator, re.ASCII)

    @cached_property
    def _demands(self) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]], list[Callable[[str], bool]]]:
        return (
            [re.compile(text, re.ASCII) for text in self.rule.require],
            [re.compile(text, re.ASCII) for text in self.rule.unless],
            [CHECKS[name] for name in self.rule.checks],
        )

    @cached_property
    def _leads(self) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]]]:
        return (
            [re.compile(text, re.ASCII) for text in self.rule.require_lead],
            [re.compile(text, re.ASCII) for text in self.rule.unless_lead],
        )

    def live(self, text: str, start: int) -> bool:
        # `partial` answers whether the known text begins a word of the rule's language.
        known = len(text) - start
        return known <= self.rule.max_length and self._partial.fullmatch(text, start, partial=True) is not None

    def match(self, text: str, start: int) -> Hit | None:
        # One more character than a match may have, so that `exact` sees what follows it.
        found = self._full.match(text, start, start + self.rule.max_length + 1)
        if found is None:
            return None
        secret, secret_end = found.span(self.rule.secret_group)
        counts = self._counts(text[secret:secret_end]) and self._led(text[max(0, start - LEAD) : secret])
        grows = bool(self.rule.body) and not self.rule.exact and secret_end == found.end()
        return Hit(secret, secret_end, found.end(), start + self.rule.max_length, counts, grows)

    def seek(self, text: str, start: int, end: int) -> int:
        found = self._seeker.search(text, start, end + self.rule.max_length + 1)
        return found.start() if found else end

    def _led(self, lead: str) -> bool:
        """Whether what stands before a secret lets it be one."""
        require, unless = self._leads
        if not require and not unless:
            return True
        return all(r.search(lead) for r in require) and not any(u.search(lead) for u in unless)

    def _counts(self, secret: str) -> bool:
        """The cheapest questions first: hostile text has them asked often."""
        if "EXAMPLE" in secret:  # vendors write it into the tokens that they publish
            return False
        require, unless, checks = self._demands
        for wanted in require:
            if not wanted.search(secret):
                return False
        for check in checks:
            if not check(secret):
                return False
        for unwanted in unless:
            if unwanted.search(secret):
                return False
        return not self.rule.min_entropy or random_enough(secret, self.rule.min_entropy)

    def follow(self, run: Run, text: str) -> bool:
        if not self.rule.terminator:
            run.end = self._body_end(text, run.end, len(text))
            return run.end < len(text)
        end = max(run.end, self._body_end(text, run.end, run.limit)) if run.end < run.limit else len(text)
        overlong = end >= run.limit
        found = self._terminator.search(text, max(run.core_end, run.seen), len(text) if overlong else end)
        if found:
            run.end = found.end()
            return True
        run.end = len(text) if overlong else end
        run.seen = run.end - TERMINATOR_LENGTH
        return run.end < len(text)

    def _body_end(self, text: str, start: int, limit: int) -> int:
        found = self._body.match(text, start, limit)
        return found.end() if found else start


def runs(matcher: Matcher, text: str, stretches: Iterable[tuple[int, int]]) -> Iterator[Run]:
    """The matches of one rule that begin in `stretches`, left to right; one never begins inside another."""
    resume, begun, rejected = 0, 0, Rejected()
    for start, end in stretches:
        at = max(start, resume)
        while (at := matcher.seek(text, at, end)) < end:
            hit = matcher.match(text, at)
            if hit is None:
                at += 1
            elif not hit.counts and not rejected.too_deep(hit, at):
                at = resume = after_rejected(hit, at)
            else:
                begun += 1
                run = begin(matcher, hit, endless=begun > FLOOD)
                if hit.grows or run.endless:
                    run.follow(text)
                at = resume = max(run.end, hit.end)
                yield run


def begin(matcher: Matcher, hit: Hit, *, endless: bool) -> Run:
    """The run of a hit that counts."""
    return Run(matcher, hit.secret, hit.secret_end, hit.end, hit.limit, hit.end, endless)


def after_rejected(hit: Hit, start: int) -> int:
    """Where to look on after a match that does not count: its secret may itself hold an anchor."""
    return hit.secret if hit.secret > start else hit.end
