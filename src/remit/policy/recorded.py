"""A recorded decision as the question it was, with the names of what the log did not keep of it. Pure.

The facts of workloads and of the catalogue are today's.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.detect import Label
from remit.errors import RemitError
from remit.identity import SpiffeId
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.kept import NOT_KEPT_OF_TASKS, circumstances, not_kept, task_kept
from remit.policy.observing import ONLY_OBSERVED
from remit.policy.outcome import Outcome
from remit.policy.permit import APPROVAL_NEEDED
from remit.policy.question import USER, Question, TaskFact
from remit.policy.refusal import POLICY_ERROR
from remit.policy.thing import ThingKind

Record = Mapping[str, Any]
# What is said in place of a question that can't be made again.
WHO: Final = "who asked"
WHAT: Final = "what was asked"
DECLARED: Final = "whether a person declared the task"

_BY_POLICIES: Final = frozenset({POLICY_ERROR, APPROVAL_NEEDED, ONLY_OBSERVED})

_parsed = functools.lru_cache(maxsize=65_536)(SpiffeId.parse)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The question, what isn't known of it, and the labels of what was found in it."""

    question: Question
    unknown: frozenset[str]
    labels: tuple[Label, ...]


def recorded(record: Record, in_force: InForce, names: Mapping[str, str]) -> Recorded | str:
    """The question of a `start` record, or what is missing to make it; raises UNREADABLE for what is none.

    `names` are people by their pseudonyms.
    """
    facts: Mapping[str, Any] = record.get("facts") or {}
    principal, owner, human = _who(record, in_force, names)
    if principal is None:
        return WHO
    resource = _parsed(record["resource"])
    thing = in_force.thing(ThingKind(facts["thing"][0]), facts["thing"][1]) if "thing" in facts else None
    target = thing if thing is not None else in_force.world.workloads.get(resource)
    if target is None:
        return WHAT
    found = record.get("found") or {}
    task, unknown = _task(record, facts, resource)
    question = Question(
        principal=principal,
        owner=owner,
        enrolled=bool(record.get("workload")),
        human=human,
        action=Action(record["action"]),
        resource=resource,
        resource_owner=target.owner,
        proof=str(record["proof"]),
        exhaustive=facts.get("exhaustive", True),
        stream=facts.get("stream", False),
        model=record.get("model") or "",
        digest=record["model_digest"],
        found=tuple(found),
        found_labels=tuple(sorted(set(found.values()))),
        task=task,
        asked=record["route"],
        grade=record["grade"],
        approved=facts.get("approved", False),
        thing=thing,
        circumstances=circumstances(facts, record.get("chain")),
    )
    return Recorded(question, not_kept(facts) | unknown, tuple(Label(one) for one in found.values()))


def by_policies(record: Record) -> bool:
    """Whether policies decided it: no policy changes what a built-in rule did."""
    rule = str(record.get("rule"))
    return not rule.startswith("remit:") or rule in _BY_POLICIES


def said(record: Record) -> Outcome:
    """What policies said to it: it may have gone through as somebody agreed, or as policies were only observed."""
    facts = record.get("facts") or {}
    observed = set(facts.get("observed") or ()) if facts.get("observing") else set()
    if record.get("rule") == APPROVAL_NEEDED or facts.get("approval") or observed == {APPROVAL_NEEDED}:
        return Outcome.NEEDS_APPROVAL
    allowed = record.get("outcome") == Outcome.ALLOWED.value and not observed
    return Outcome.ALLOWED if allowed else Outcome.REFUSED


def _who(record: Record, in_force: InForce, names: Mapping[str, str]) -> tuple[SpiffeId | None, str, str]:
    """The principal, its owner and the person who answers for it; None: not known any more."""
    world = in_force.world
    name = names.get(record.get("person") or "")
    if record.get("workload"):
        own = world.workloads.get(_parsed(record["workload"]))
        return (None, "", "") if own is None else (own.spiffe_id, own.owner, name or own.owner)
    if name is None:
        return None, "", ""
    try:
        return SpiffeId.of(world.trust_domain, USER, name), name, name
    except RemitError:
        return None, "", ""


def _task(record: Record, facts: Mapping[str, Any], on: SpiffeId) -> tuple[TaskFact | None, frozenset[str]]:
    """The fact of its task as policies read it, and what isn't known of that.

    A workload's own task is none to policies. Where the record doesn't tell whose it was, one that passed through no
    hands was a person's.
    """
    named = record.get("task")
    if not named:
        return None, frozenset()
    if "task" in facts:
        return task_kept(named, facts["task"])
    doubted = {DECLARED} if record.get("chain") else set()
    return TaskFact(named, on, (str(record["action"]),)), NOT_KEPT_OF_TASKS | doubted
