"""A rule: what one kind of credential looks like, as data that carries its own evidence."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from remit.detect.checks import CHECKS
from remit.detect.finding import Label
from remit.errors import ConfigError

# What stays when harmless escapes and then classes are taken away, and not every engine reads alike.
HARMLESS: Final = re.compile(r"\\[^bBAZzGpPNuUx0-9]")
CLASS: Final = re.compile(r"\[\^?[^\]]*\]")
UNSUPPORTED: Final = re.compile(r"\(\?(?!:).?|\\.|[$^]")
# A repeat that ends a pattern: what matches, matches it cut short too. One anchor an expression and short ends took
# the worst hostile megabyte through the filter in 0.03 s; whole patterns took 2.4 s.
LONG_END: Final = re.compile(r"\{(\d+)(?:,\d*)?\}(\)*)\Z")
ENOUGH: Final = 12
GREEDY: Final = re.compile(r"(?<=\})\+")  # a mark for `re` alone: the repeat before it gives nothing back
LEAD: Final = 16  # characters; a stream keeps as many of those that it gave out
ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_LENGTH_LIMIT: Final = 32_768  # hold-back of a stream is bounded by it


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of credential.

    A match is one of `anchors` followed by `pattern`, not preceded by an ASCII word character unless `anywhere`.
    `ignore_case` is for the anchors alone. What is masked is capture group `secret_group`, or all of it.

    A match whose secret reaches its end goes on over any `body` characters that follow; with `exact` it
    instead is none if one follows; with `terminator` it goes on to the terminator's end, also past
    `max_length` characters, or to the first other character within them. Only the first `max_length`
    characters decide whether there is a match.

    A `+` after a repeat in `pattern` says that giving characters back never makes a match there, so that hostile text
    costs no second try; `eager` keeps it, `core` reads the same without.

    `require_lead` and `unless_lead` ask the same of what leads to the secret: LEAD characters before the match, and
    the match up to the secret.

    The secret counts only if it has `min_entropy` bits a character, if each regex in `require` is found in it
    and none in `unless`, and if all `checks` (named in `checks.py`) hold. A `generic` rule gives
    its name only to what no other rule knows.
    """

    id: str
    description: str
    anchors: tuple[str, ...]
    pattern: str
    max_length: int
    references: tuple[str, ...]
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]
    label: Label = Label.CONFIDENTIAL
    body: str = ""
    generic: bool = False
    ignore_case: bool = False
    anywhere: bool = False
    exact: bool = False
    terminator: str = ""
    secret_group: int = 0
    min_entropy: float = 0.0
    require: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    require_lead: tuple[str, ...] = ()
    unless_lead: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: Mapping[str, Any], file: str) -> "Rule":
        """The rule of one TOML table; raises ConfigError, naming `file` and the rule, for anything out of place."""
        name = row.get("id") or f"(number unknown: {str(row)[:60]})"
        try:
            values = {key: _parsed(key, value) for key, value in row.items()}
            _complete(values)
            rule = cls(**values)
            _check(rule)
        except ValueError as error:
            raise ConfigError(f"{file}: rule `{name}`: {error}", hint="see the rules that ship with Remit") from error
        return rule

    @property
    def core(self) -> str:
        """Anchor and pattern as one regex, in the syntax that Hyperscan, RE2, `re` and `regex` share."""
        return f"(?:{'|'.join(self._spelt)})(?:{self._shared})"

    @property
    def eager(self) -> str:
        """The same for `re`, which then tries nothing twice where `pattern` says that it need not."""
        return f"(?:{'|'.join(self._spelt)})(?:{self.pattern})"

    def seeker(self, boundary: str) -> str:
        """For `re`: begins where `eager` does, with a character class to skip to; `boundary` is checked after it."""
        rests: dict[str, list[str]] = {}
        for anchor in self.anchors:
            rests.setdefault(self._spell(anchor[0]), []).append(self._spell(anchor[1:]))
        cases = {case for anchor in self.anchors for case in self._cases(anchor[0])}
        firsts = "".join(re.escape(case) for case in sorted(cases))
        tails = "|".join(f"(?<={first})(?:{'|'.join(own)})" for first, own in rests.items())
        return f"[{firsts}]{boundary}(?:{tails})(?:{self.pattern})"

    @property
    def beginnings(self) -> tuple[str, ...]:
        """For the fast filter: one regex an anchor, which matches wherever a match begins, without its long end."""
        short = LONG_END.sub(_shortened, f"(?:{self._shared})")
        return tuple(f"{anchor}{short}" for anchor in self._spelt)

    @property
    def _spelt(self) -> tuple[str, ...]:
        return tuple(self._spell(anchor) for anchor in self.anchors)

    @property
    def _shared(self) -> str:
        return GREEDY.sub("", self.pattern)

    def _cases(self, char: str) -> tuple[str, ...]:
        return (char.lower(), char.upper()) if self.ignore_case else (char,)

    def _spell(self, literal: str) -> str:
        return _either_case(literal) if self.ignore_case else re.escape(literal)


def _shortened(end: re.Match[str]) -> str:
    return f"{{{min(int(end[1]), ENOUGH)}}}{end[2]}" if int(end[1]) else end[0]


def _either_case(literal: str) -> str:
    """The literal in either ASCII case: `(?i)` would let `K` match the Kelvin sign in some engines only."""
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else re.escape(c) for c in literal)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{value}` is not a string")  # noqa: TRY004 - told with file and rule by the caller
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"`{value}` is not a list")  # noqa: TRY004
    return tuple(_text(item) for item in value)


def _evidence(value: Any) -> tuple[str, ...]:
    """Examples may be given in parts, so that no complete fixture stands in the file."""
    if not isinstance(value, list):
        raise ValueError(f"`{value}` is not a list")  # noqa: TRY004
    return tuple("".join(_texts(item)) if isinstance(item, list) else _text(item) for item in value)


def _typed(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"`{value}` is not {kind.__name__}")
        return value

    return check


PARSERS: Final[dict[str, Callable[[Any], Any]]] = {
    "id": _text,
    "description": _text,
    "label": lambda value: Label(_text(value)),
    "anchors": _texts,
    "pattern": _text,
    "body": _text,
    "generic": _typed(bool),
    "ignore_case": _typed(bool),
    "anywhere": _typed(bool),
    "exact": _typed(bool),
    "terminator": _text,
    "secret_group": _typed(int),
    "max_length": _typed(int),
    "min_entropy": _typed(float),
    "require": _texts,
    "unless": _texts,
    "require_lead": _texts,
    "unless_lead": _texts,
    "checks": _texts,
    "references": _texts,
    "examples": _evidence,
    "counter_examples": _evidence,
}
REQUIRED: Final = {field.name for field in fields(Rule)} - set(PARSERS) | {
    *("id", "description", "anchors", "pattern", "max_length", "references", "examples", "counter_examples")
}


def _parsed(key: str, value: Any) -> Any:
    if key not in PARSERS:
        near = difflib.get_close_matches(key, PARSERS, n=1, cutoff=0.0)
        raise ValueError(f"unknown key `{key}`, did you mean `{near[0]}`")
    try:
        return PARSERS[key](value)
    except ValueError as error:
        raise ValueError(f"`{key}`: {error}") from error


def _complete(values: Mapping[str, Any]) -> None:
    missing = sorted(REQUIRED - values.keys())
    if missing:
        raise ValueError(f"`{missing[0]}` is missing")
    for key in ("anchors", "references", "examples", "counter_examples"):
        if not values[key]:
            raise ValueError(f"`{key}` is empty")


def _check(rule: Rule) -> None:
    if not ID.fullmatch(rule.id):
        raise ValueError("`id` is not lower-case words joined by `-`")
    if not all(anchor and anchor.isascii() for anchor in rule.anchors):
        raise ValueError("`anchors` holds an empty or non-ASCII one")
    if not 0 < rule.max_length <= MAX_LENGTH_LIMIT:
        raise ValueError(f"`max_length` is not in 1..{MAX_LENGTH_LIMIT}")
    if rule.exact and (rule.terminator or not rule.body):
        raise ValueError("`exact` needs `body`, and goes with no `terminator`")
    if rule.terminator and not rule.body:
        raise ValueError("`terminator` needs `body`")
    unknown = [check for check in rule.checks if check not in CHECKS]
    if unknown:
        raise ValueError(f"`checks` holds `{unknown[0]}`, which is none of {', '.join(CHECKS)}")
    _check_regexes(rule)


def _check_regexes(rule: Rule) -> None:
    for key, text in (("pattern", rule.pattern), ("terminator", rule.terminator)):
        found = UNSUPPORTED.search(CLASS.sub("", HARMLESS.sub("", text)))
        if found:
            raise ValueError(f"`{key}` uses `{found[0]}`, which not every engine knows")
    if rule.body and not re.fullmatch(r"\[[^\[]+\]", rule.body):
        raise ValueError("`body` is not one character class")
    try:
        groups = re.compile(rule.eager).groups
        for text in (rule.body, rule.terminator, *rule.require, *rule.unless, *rule.require_lead, *rule.unless_lead):
            re.compile(text)
    except re.error as error:
        raise ValueError(f"`{error.pattern!r}` is no regex: {error}") from error
    if groups < rule.secret_group:
        raise ValueError(f"`pattern` has no group {rule.secret_group}")
