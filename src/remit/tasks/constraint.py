"""What the value of one argument may be. Pure, and strict: a value that may be read in two ways is not within."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import re2

from remit.tasks.hosts import host_of, host_rule, host_within, rule_within
from remit.tasks.place import Place, beneath, place

Scalar = str | int | float | bool
Test = Callable[[Any, object], bool]  # of a bound and a value

MOST_ITEMS: Final = 256  # of a list: a longer one is not looked through, and not within
MOST_TEXT: Final = 65_536  # characters that an expression is put to
MOST_EXPRESSION: Final = 1_024  # characters
MOST_BOUNDS: Final = 256  # entries of one condition
EXPRESSION_MEMORY: Final = 1 << 17  # bytes that one compiled expression may take; as many take 3 ms to compile
MOST_COMPILED: Final = 512  # expressions kept: parts of a task have the same ones


@dataclass(frozen=True, slots=True)
class Constraint:
    """All that is given must hold. Nothing given: any value, but there must be one.

    `equals` and `one_of` compare whole values, type and all. `beneath`: a path in one of these directories.
    `host_in`: a URL, host or mail address at one of these hosts, `*.example.com` for those below it. `matches`: an
    RE2 expression for the whole text. `at_most`: a number from 0 to this. `optional`: or absent, null or empty.

    A list of texts fits where each of them does; `equals` and `at_most` take none. Raises ValueError for a bound that
    says nothing.
    """

    equals: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = None
    beneath: tuple[str, ...] | None = None
    host_in: tuple[str, ...] | None = None
    matches: str | None = None
    at_most: int | float | None = None
    optional: bool = False
    bounds: tuple[str, ...] = field(init=False, repr=False, compare=False)  # the conditions that are given
    _ready: tuple[tuple[Test, Any], ...] = field(init=False, repr=False, compare=False)  # each, with what it takes

    def __post_init__(self) -> None:
        given = {key: getattr(self, key) for key in _PREPARED if getattr(self, key) is not None}
        ready = tuple((_FITS[key], _PREPARED[key](bound, key)) for key, bound in given.items())
        object.__setattr__(self, "bounds", tuple(given))
        object.__setattr__(self, "_ready", ready)

    def holds(self, value: object) -> bool:
        """Whether `value` (as JSON has it; None where the argument is absent) is within."""
        if value is None or (isinstance(value, list) and not value):
            return self.optional
        if isinstance(value, list) and self.bounds:
            if self.equals is not None or self.at_most is not None or len(value) > MOST_ITEMS:
                return False
            return all(isinstance(item, str) and self._fits(item) for item in value)
        return self._fits(value)

    def _fits(self, value: object) -> bool:
        for fits, bound in self._ready:  # noqa: SIM110 - a loop takes half the time
            if not fits(bound, value):
                return False
        return True

    def prepared(self, key: str) -> Any:
        """The bound of a condition that is given, in the form that values are compared with."""
        return self._ready[self.bounds.index(key)][1]

    def to_dict(self) -> dict[str, Any]:
        """Only what is given."""
        said = {key: getattr(self, key) for key in self.bounds}
        row = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
        return {**row, "optional": True} if self.optional else row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "Constraint":
        """Raises ValueError; every key must be one of KEYS."""
        if type(row.get("optional", False)) is not bool:
            raise ValueError(f"`optional` is true or false, not `{row['optional']!r}`")
        said: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        return cls(**said)


KEYS: Final = tuple(one.name for one in fields(Constraint) if one.init)


def narrower(child: Constraint, parent: Constraint) -> bool:
    """Whether it is certain that each value within `child` is within `parent`."""
    if child.optional and not parent.optional:
        return False
    return all(_implies(child, key, parent.prepared(key)) for key in parent.bounds)


def _implies(child: Constraint, key: str, bound: Any) -> bool:
    """Whether what is within `child` meets the parent's one condition.

    By the values, where there are only so many; else by the child's own condition of this kind.
    """
    if key == "equals":  # a list of one is another value than the one
        return child.equals is not None and _same(bound, child.equals)
    only = (child.equals,) if child.equals is not None else child.one_of
    if only is not None and all(_FITS[key](bound, value) for value in only):
        return True
    return key in child.bounds and _TIGHTER[key](child.prepared(key), bound)


def _same(bound: object, value: object) -> bool:
    return type(bound) is type(value) and bound == value


def _is_one_of(bound: frozenset[tuple[type, Scalar]], value: object) -> bool:
    return isinstance(value, str | int | float) and (type(value), value) in bound


def _is_beneath(bound: tuple[Place, ...], value: object) -> bool:
    here = place(value) if isinstance(value, str) else None
    return here is not None and any(beneath(here, root) for root in bound)


def _is_host_in(bound: tuple[str, ...], value: object) -> bool:
    host = host_of(value) if isinstance(value, str) else None
    return host is not None and any(host_within(host, rule) for rule in bound)


def _is_match(bound: "Expression", value: object) -> bool:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        return False
    try:
        return bound.compiled.fullmatch(value.encode()) is not None
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _is_at_most(bound: float, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= bound


_FITS: Final[Mapping[str, Test]] = {
    "equals": _same,
    "one_of": _is_one_of,
    "beneath": _is_beneath,
    "host_in": _is_host_in,
    "matches": _is_match,
    "at_most": _is_at_most,
}
# The child's bound, the parent's. Of expressions nothing is known but that one is as narrow as itself.
_TIGHTER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "one_of": lambda own, bound: bool(own <= bound),
    "beneath": lambda own, bound: all(any(beneath(one, root) for root in bound) for one in own),
    "host_in": lambda own, bound: all(any(rule_within(one, rule) for rule in bound) for one in own),
    "matches": lambda own, bound: bool(own.text == bound.text),
    "at_most": lambda own, bound: bool(own <= bound),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """An RE2 expression, for bytes of UTF-8."""

    text: str
    compiled: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: object, key: str) -> "Expression":
        if not isinstance(text, str) or len(text) > MOST_EXPRESSION:
            raise ValueError(f"`{key}` is an expression of up to {MOST_EXPRESSION:,} characters")
        try:
            return cls(text, _compiled(text))
        except (re2.error, UnicodeEncodeError) as error:
            raise ValueError(f"`{key}` is no RE2 expression: {error}") from error


@functools.lru_cache(MOST_COMPILED)
def _compiled(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = EXPRESSION_MEMORY
    options.never_capture = True
    return re2.compile(text.encode(), options)


def _scalar(value: Any, key: str) -> Scalar:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"`{key}` is a text, a number, true or false, not `{value!r}`")
    return value


def _several(value: object, key: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or not 0 < len(value) <= MOST_BOUNDS:
        raise ValueError(f'`{key}` is a list of 1 to {MOST_BOUNDS} entries, such as `{key} = ["…"]`')
    return value


def _scalars(value: object, key: str) -> frozenset[tuple[type, Scalar]]:
    return frozenset((type(one), _scalar(one, key)) for one in _several(value, key))


def _roots(value: object, key: str) -> tuple[Place, ...]:
    return tuple(_root(one, key) for one in _several(value, key))


def _root(value: object, key: str) -> Place:
    found = place(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"`{key}` holds plain paths without `..`, not `{value!r}`")
    return found


def _rules(value: object, key: str) -> tuple[str, ...]:
    return tuple(host_rule(one) for one in _several(value, key))


def _number(value: object, key: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"`{key}` is a number from 0 on, not `{value!r}`")
    return value


_PREPARED: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "equals": _scalar,
    "one_of": _scalars,
    "beneath": _roots,
    "host_in": _rules,
    "matches": Expression.parse,
    "at_most": _number,
}
