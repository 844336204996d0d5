"""Recorded decisions, made again under other policies: what would have come out otherwise. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from remit.policy.again import Again
from remit.policy.in_force import InForce
from remit.policy.kept import UNREADABLE
from remit.policy.outcome import Answer, Outcome
from remit.policy.policy_set import Policy
from remit.policy.question import KNOWN_DIGEST
from remit.policy.reads import reads
from remit.policy.recorded import Record, by_policies, recorded, said

MAX_MEMO: Final = 65_536  # answers kept: equal decisions are made once
EXAMPLES: Final = 3
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
# Facts of a record by the names that policies read them by.
_CIRCUMSTANCES: Final = frozenset(
    {"exhaustive", "stream", "approved", "time", "presence", "facts", "zone", "args", "flow", "destination"}
)
_UNREAD: Final = _CIRCUMSTANCES | {"approval", "observed", "observing"}
_NAMES: Final = _CIRCUMSTANCES | {"asked", "name", "digest"}


@dataclass(slots=True)
class Changed:
    """Decisions that changed alike: how many, and the first."""

    was: str
    now: str
    by: str
    action: str
    count: int = 0
    first: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Replayed:
    """`unknown` counts by what was not kept; `built_in` are decisions that no policy made, and none changes."""

    decisions: int = 0
    same: int = 0
    built_in: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    changed: dict[tuple[str, str, str, str], Changed] = field(default_factory=dict)

    @property
    def grows(self) -> bool:
        """Whether anything that was not allowed would be."""
        return any(one.now == Outcome.ALLOWED.value for one in self.changed.values())


class Replay:
    """`names` are people by their pseudonyms."""

    def __init__(self, in_force: InForce, names: Mapping[str, str]) -> None:
        self._again = Again(in_force)
        self._names = names
        self._memo: dict[object, Answer] = {}
        self._tells_apart = _read_by(in_force.policies.policies)

    def all(self, records: Iterable[Record]) -> Replayed:
        """Every `start` record among them."""
        told = Replayed()
        for record in records:
            if record.get("kind") == "start":
                self._tell(record, told)
        return told

    def _tell(self, record: Record, told: Replayed) -> None:
        told.decisions += 1
        if not by_policies(record):
            told.built_in += 1
            return
        answer, was = self.again(record), said(record).value
        if answer.outcome is Outcome.UNKNOWN:
            told.unknown[answer.rule] += 1
        elif answer.outcome.value == was:
            told.same += 1
        else:
            key = (was, answer.outcome.value, answer.rule, str(record.get("action")))
            one = told.changed.setdefault(key, Changed(*key))
            one.count += 1
            if len(one.first) < EXAMPLES:
                one.first.append(str(record.get("id")))

    def again(self, record: Record) -> Answer:
        """What the policies say to it now; of an unknown outcome `rule` says what is not known."""
        try:
            key = _key(record, self._tells_apart)
            if key not in self._memo:
                if len(self._memo) >= MAX_MEMO:
                    self._memo.clear()
                self._memo[key] = self._fresh(record)
            return self._memo[key]
        except UNREADABLE:
            return Answer(Outcome.UNKNOWN, "the record can't be read")

    def _fresh(self, record: Record) -> Answer:
        asked = recorded(record, self._again.in_force, self._names)
        return Answer(Outcome.UNKNOWN, asked) if isinstance(asked, str) else self._again.answer(asked)


def _read_by(policies: Sequence[Policy]) -> frozenset[str]:
    """All words in the conditions of policies; all of the context's names where one takes it as a whole."""
    words = frozenset(_WORD.findall(repr([policy.tree.clauses for policy in policies])))
    return words if reads(policies) is not None else words | _NAMES


def _key(record: Record, read: frozenset[str]) -> object:
    """All that a question is made of, but for what no policy reads."""
    digest = str(record["model_digest"])
    found, facts = record.get("found") or {}, record.get("facts") or {}
    return (
        record.get("person"), record.get("workload"), record.get("proof"), record.get("task"), record["action"],
        record["resource"], record["route"] if "asked" in read else "", record.get("model") if "name" in read else "",
        digest if "digest" in read else digest.startswith(KNOWN_DIGEST), record["grade"],
        tuple(found.items()), tuple(record.get("chain") or ()), "exhaustive" in facts,
        repr([(name, facts[name]) for name in facts if name in read or name not in _UNREAD]),
    )  # fmt: skip
