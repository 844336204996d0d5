"""A recorded decision looked into: asked again of the policies there are, and what kept it from an allow. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.policy.again import Again
from remit.policy.conditions import Condition
from remit.policy.in_force import InForce
from remit.policy.kept import UNREADABLE
from remit.policy.nearest import Against, Distance, Near, distance
from remit.policy.outcome import Answer, Outcome
from remit.policy.permit import PolicyRef
from remit.policy.recorded import Record, by_policies, recorded

_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class LookedInto:
    """`same_set`: these are the policies that decided. `unknown` names what was not kept, so that nothing is told.

    `bundle` says who signed the set that decided; None where the log doesn't say where that came from.
    """

    same_set: bool
    distance: Distance | None = None
    unknown: str = ""
    bundle: Mapping[str, Any] | None = None

    def without_texts(self) -> "LookedInto":
        """For whom the policies are not to read: places alone."""
        if self.distance is None:
            return self
        near = tuple(replace(one, failed=_blank(one.failed)) for one in self.distance.near)
        against = tuple(replace(one, held=_blank(one.held)) for one in self.distance.against)
        return replace(self, distance=replace(self.distance, near=near, against=against))

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        so = self.distance
        return {
            "policies_are_those_that_decided": self.same_set,
            "unknown": self.unknown,
            "bundle": self.bundle,
            "asked_again": None if so is None else so.now.to_json(),
            "permits": [_row(one.policy, one.failed, one.then) for one in so.near] if so is not None else [],
            "forbids": [_row(one.policy, one.held, one.without) for one in so.against] if so is not None else [],
        }


def look_into(record: Record, in_force: InForce, names: Mapping[str, str]) -> LookedInto:
    """Workloads and the catalogue are today's. `names` are people by their pseudonyms."""
    same = record.get("policy_set") == in_force.policies.digest
    if not by_policies(record):
        return LookedInto(same)
    try:
        asked = recorded(record, in_force, names)
        if isinstance(asked, str):
            return LookedInto(same, unknown=asked)
        answer = Again(in_force).answer(asked)
        if answer.outcome is Outcome.UNKNOWN:
            return LookedInto(same, unknown=answer.rule)
        so = distance(in_force, asked.question, asked.labels)
    except UNREADABLE:
        return LookedInto(same, unknown="the record can't be read")
    doubted = asked.unknown & _words(so)
    return LookedInto(same, None, ", ".join(sorted(doubted))) if doubted else LookedInto(same, so)


def bundle_of(acts: Iterable[Record]) -> Mapping[str, Any] | None:
    """Who signed a policy set, by the newest act that put it in force; empty: nobody. None: no such act."""
    rows = [row for row in acts if row.get("kind") == "act" and row.get("what") == "policy.loaded"]
    facts = [row.get("facts") or {} for row in sorted(rows, key=lambda row: float(row.get("t") or 0))]
    bundle = facts[-1].get("bundle") if facts else None
    return bundle if isinstance(bundle, Mapping) else None


def lines(looked: LookedInto, outcome: Outcome) -> Iterator[str]:
    """What there is to say of it beyond the record, to which policies said that."""
    so = looked.distance
    if so is None:
        return
    if not looked.same_set or so.now.outcome is not outcome:
        which = "" if looked.same_set else "policies, "
        yield f"asked again, of today's {which}workloads and catalogue: {_came(so.now)}"
    for against in so.against:
        yield from _against(against)
    for near in so.near:
        yield from _near(near)
    if so.more:
        yield f"{so.more} more permit{'s' if so.more != 1 else ''} further off"


def _near(one: Near) -> Iterator[str]:
    yield f"{one.policy} would permit it if this were so; it would then be {_came(one.then)}:"
    yield from _conditions(one.failed, one.policy)


def _against(one: Against) -> Iterator[str]:
    yield f"{one.policy} forbids it as this is so; without it: {_came(one.without)}"
    yield from _conditions(one.held, one.policy)


def _conditions(some: tuple[Condition, ...], policy: PolicyRef) -> Iterator[str]:
    for one in some:
        place = f"{policy.file}:{one.line}"
        yield f"    {one.text}   {place}" if one.text else f"    {place}"


def _came(answer: Answer) -> str:
    by = ", ".join(str(ref) for ref in answer.policies) or answer.rule
    return answer.outcome.value + (f" by {by}" if answer.outcome is Outcome.REFUSED else "")


def _words(so: Distance) -> frozenset[str]:
    some = [*(one.failed for one in so.near), *(one.held for one in so.against)]
    return frozenset(word for each in some for one in each for word in _WORD.findall(one.text))


def _blank(some: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(replace(one, text="") for one in some)


def _row(policy: PolicyRef, some: tuple[Condition, ...], answer: Answer) -> dict[str, Any]:
    place = {"id": policy.id, "file": policy.file, "line": policy.line}
    return {**place, "conditions": [{"text": one.text, "line": one.line} for one in some], "then": answer.to_json()}
