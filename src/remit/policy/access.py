"""What an enforcement point asks about in its own words: its user, its action, its resource. Pure.

Remit knows none of these: they are the point's word, but for what the catalogue says of a subject or a resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.policy.thing import UNKNOWN

MAX_FACTS: Final = 64  # of one subject, action or resource: more are refused
MAX_SAME: Final = 256  # equal values of a subject and a resource, each with each
MAX_FACT: Final = 512  # characters of a key and its value
ID: Final = "id"
DEEPEST: Final = 4  # levels of properties that are looked at

Facts = tuple[str, ...]  # `key=value`, sorted
Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Access:
    """`who` and `what` are `type/id`; `subject` is the catalogue's id of it, or `unknown`.

    `says` are the action's properties, `who_is` and `what_is` the subject's and the resource's. `same` names the keys
    of both whose values are the same: `email=ownerID`.
    """

    name: str
    who: str
    what: str
    subject: str = UNKNOWN
    says: Facts = ()
    who_is: Facts = ()
    what_is: Facts = ()
    same: Facts = ()

    @property
    def size(self) -> int:
        """Characters of all of it."""
        every = (self.name, self.who, self.what, *self.says, *self.who_is, *self.what_is, *self.same)
        return sum(map(len, every))

    def to_json(self) -> dict[str, Any]:
        """The schema's `Access`."""
        return {
            "name": self.name,
            "says": list(self.says),
            "subject": {"__entity": {"type": "Subject", "id": self.subject}},
            "who": self.who,
            "who_is": list(self.who_is),
            "what": self.what,
            "what_is": list(self.what_is),
            "same": list(self.same),
        }


def pairs(properties: Mapping[str, object], below: str = "") -> Pairs:
    """Each key with each of its values, deeper ones by a dotted key; raises ValueError for more than is looked at.

    `true`, numbers and strings are values; `null` is none.
    """
    found = frozenset(_pairs(properties, below, 0))
    if len(found) > MAX_FACTS or any(len(key) + len(value) > MAX_FACT for key, value in found):
        raise ValueError(f"more than {MAX_FACTS} properties, or one of more than {MAX_FACT} characters")
    return found


def over(listed: Pairs, said: Pairs) -> Pairs:
    """Both, without what is said of a key that is listed: the catalogue knows better."""
    keys = {key for key, _ in listed}
    return listed | {(key, value) for key, value in said if key not in keys}


def facts(known: Pairs) -> Facts:
    return tuple(sorted(f"{key}={value}" for key, value in known))


def same(one: Pairs, other: Pairs) -> Facts:
    """The keys under which both have one value; raises ValueError for too many."""
    by_value: dict[str, list[str]] = {}
    for key, value in other:
        by_value.setdefault(value, []).append(key)
    if sum(len(by_value.get(value, ())) for _, value in one) > MAX_SAME:
        raise ValueError(f"more than {MAX_SAME} properties of the subject and of the resource are the same")
    return tuple(sorted({f"{key}={twin}" for key, value in one for twin in by_value.get(value, ())}))


def _pairs(value: object, key: str, depth: int) -> list[tuple[str, str]]:
    if depth > DEEPEST:
        raise ValueError("properties are nested too deeply")
    if isinstance(value, Mapping):
        named = [(f"{key}.{name}" if key else str(name), inner) for name, inner in value.items()]
        return [pair for name, inner in named for pair in _pairs(inner, name, depth + 1)]
    if isinstance(value, list | tuple):
        return [pair for inner in value for pair in _pairs(inner, key, depth + 1)]
    if value is None:
        return []
    return [(key, str(value).lower() if isinstance(value, bool) else str(value))]
