"""Recorded decisions, made again under other policies: what would have come out otherwise. Pure.

A value that was not kept is left open: Cedar evaluates what can be evaluated without it, and where the answer hangs
on it, the outcome is unknown. The facts of workloads and of the catalogue are today's.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import cedarpy

from remit.detect import Label
from remit.errors import RemitError
from remit.identity import SpiffeId
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.kept import NOT_KEPT_OF_TASKS, UNREADABLE, circumstances, not_kept
from remit.policy.mode import Approver
from remit.policy.outcome import Answer, Outcome, answer_of
from remit.policy.permit import APPROVAL_NEEDED
from remit.policy.question import KNOWN_DIGEST, USER, Question, TaskFact
from remit.policy.quoting import quoted
from remit.policy.refusal import POLICY_ERROR
from remit.policy.residue import can_fail
from remit.policy.slicing import Slice
from remit.policy.thing import ThingKind

MAX_MEMO: Final = 65_536  # answers kept: equal decisions are made once
EXAMPLES: Final = 3
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_TASKS_ACTIONS: Final = "attr='actions'"
_HAS_ACTION: Final = (
    "BinaryOp(op='contains', left=GetAttr(base=GetAttr(base=Var(name='context'), attr='task'), attr='actions'), "
    "right=StringLit(value='{}'))"
)

Record = Mapping[str, Any]


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


@dataclass(frozen=True, slots=True)
class _Open:
    """A question with what isn't known of it."""

    question: Question
    unknown: frozenset[str]


class Replay:
    """`names` are people by their pseudonyms."""

    def __init__(self, in_force: InForce, names: Mapping[str, str]) -> None:
        self._in_force = in_force
        self._names = names
        self._memo: dict[object, Answer] = {}
        read = repr([policy.tree.clauses for policy in in_force.policies.policies])
        self._tells_apart = frozenset(_WORD.findall(read)) & {"asked", "name", "digest"}
        self._words: dict[int, tuple[Slice, frozenset[str], str]] = {}

    def all(self, records: Iterable[Record]) -> Replayed:
        """Every `start` record among them."""
        told = Replayed()
        for record in records:
            if record.get("kind") == "start":
                self._tell(record, told)
        return told

    def _tell(self, record: Record, told: Replayed) -> None:
        told.decisions += 1
        rule = str(record.get("rule"))
        if rule.startswith("remit:") and rule not in {POLICY_ERROR, APPROVAL_NEEDED}:
            told.built_in += 1
            return
        answer = self.again(record)
        was = Outcome.NEEDS_APPROVAL.value if rule == APPROVAL_NEEDED else str(record.get("outcome"))
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
        facts: Mapping[str, Any] = record.get("facts") or {}
        principal, owner, human = self._who(record)
        if principal is None:
            return Answer(Outcome.UNKNOWN, "who asked")
        target = self._in_force.world.workloads.get(SpiffeId.parse(record["resource"]))
        thing = self._in_force.thing(ThingKind(facts["thing"][0]), facts["thing"][1]) if "thing" in facts else None
        resource_owner = thing.owner if thing is not None else target.owner if target is not None else None
        if resource_owner is None:
            return Answer(Outcome.UNKNOWN, "what was asked")
        found = record.get("found") or {}
        question = Question(
            principal=principal,
            owner=owner,
            enrolled=bool(record.get("workload")),
            human=human,
            action=Action(record["action"]),
            resource=SpiffeId.parse(record["resource"]),
            resource_owner=resource_owner,
            proof=str(record["proof"]),
            exhaustive=facts.get("exhaustive", True),
            stream=facts.get("stream", False),
            model=record.get("model") or "",
            digest=record["model_digest"],
            found=tuple(found),
            found_labels=tuple(sorted(set(found.values()))),
            task=None,
            asked=record["route"],
            grade=record["grade"],
            approved=facts.get("approved", False),
            thing=thing,
            circumstances=circumstances(facts, record.get("chain")),
        )
        unknown = not_kept(facts)
        if record.get("task"):
            task = TaskFact(record["task"], question.resource, (question.action.value,))
            question, unknown = replace(question, task=task), unknown | NOT_KEPT_OF_TASKS
        return self._answer(_Open(question, unknown), [Label(one) for one in found.values()])

    def _who(self, record: Record) -> tuple[SpiffeId | None, str, str]:
        """The principal, its owner and the person who answers for it; None: not known any more."""
        world = self._in_force.world
        name = self._names.get(record.get("person") or "")
        if record.get("workload"):
            own = world.workloads.get(SpiffeId.parse(record["workload"]))
            return (None, "", "") if own is None else (own.spiffe_id, own.owner, name or own.owner)
        if name is None:
            return None, "", ""
        try:
            return SpiffeId.of(world.trust_domain, USER, name), name, name
        except RemitError:
            return None, "", ""

    def _answer(self, asked: _Open, labels: list[Label]) -> Answer:
        some = self._in_force.slice(asked.question)
        words, conditions = self._read_by(some)
        read = asked.unknown & words
        only_own = conditions.count(_HAS_ACTION.format(asked.question.action.value))
        if "actions" in read and conditions.count(_TASKS_ACTIONS) == only_own:
            read -= {"actions"}  # a task that covered it names this action, and no policy asks for anything else
        if not read:
            return answer_of(self._in_force.ask(asked.question), labels)
        return self._partly(asked.question, read, some, labels)

    def _partly(self, question: Question, read: frozenset[str], some: Slice, labels: list[Label]) -> Answer:
        """As far as it can be told without what is in `read`."""
        unknown = Answer(Outcome.UNKNOWN, ", ".join(sorted(read)))
        entities = self._in_force.world.entities(question.principal, question.owner, enrolled=question.enrolled)
        target = question.acted_on()
        request = {
            "principal": f"Workload::{quoted(str(question.principal))}",
            "action": f"Action::{quoted(question.action.value)}",
            "resource": f"{target['type']}::{quoted(target['id'])}",
            "context": without(question.context(), read),
        }
        result = cedarpy.is_authorized_partial(request, some.compiled, entities)
        left = [some.policies[int(name[6:])] for name in result.diagnostics.nontrivial_residuals]
        if result.diagnostics.errors:
            return Answer(Outcome.REFUSED, POLICY_ERROR)
        if result.decision is cedarpy.Decision.NoDecision or any(can_fail(policy) for policy in left):
            return unknown
        if result.decision is cedarpy.Decision.Deny:
            sure = [some.policies[int(name[6:])].ref for name in sorted(result.diagnostics.must_be_determining)]
            return Answer(Outcome.REFUSED, sure[0].id if sure else "default-deny", tuple(sure))
        # Allowed either way; what is left open could still want an approval, or refuse what was found.
        if any(policy.approver is not Approver.NOBODY or labels for policy in left):
            return unknown
        return answer_of(self._in_force.ask(question), labels)

    def _read_by(self, some: Slice) -> tuple[frozenset[str], str]:
        """All words in the conditions of a slice's policies, and these conditions as Cedar understands them."""
        known = self._words.get(id(some))
        if known is None or known[0] is not some:
            conditions = repr([policy.tree.clauses for policy in some.policies])
            known = (some, frozenset(_WORD.findall(conditions)), conditions)
            self._words[id(some)] = known
        return known[1], known[2]


def without(context: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The context with these left open."""
    made = dict(context)
    for section in (None, "model", "task"):
        row = made if section is None else dict(made.get(section, {}))
        for name in names & row.keys():
            row[name] = {"__extn": {"fn": "unknown", "arg": name}}
        if section is not None and section in made:
            made[section] = row
    return made


def _key(record: Record, read: frozenset[str]) -> object:
    """All that `_fresh` reads of a record, but for route, model and digest where no policy asks for them."""
    digest = str(record["model_digest"])
    found, facts = record.get("found") or {}, record.get("facts") or {}
    return (
        record.get("person"), record.get("workload"), record.get("proof"), record.get("task"), record["action"],
        record["resource"], record["route"] if "asked" in read else "", record.get("model") if "name" in read else "",
        digest if "digest" in read else digest.startswith(KNOWN_DIGEST), record["grade"],
        tuple(found.items()), tuple(record.get("chain") or ()), repr(facts) if facts else "",
    )  # fmt: skip
