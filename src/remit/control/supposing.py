"""Asked without acting: what the policies in force say, as far as one may know of who and what it is about."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from remit.control.realm import Realm
from remit.control.roles import Reach, Role
from remit.control.this_hour import moment_at
from remit.detect import Label
from remit.errors import NotFoundError, UsageError
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.missing import missing
from remit.policy.observing import said
from remit.policy.outcome import Answer, Outcome, answer_of
from remit.policy.question import Question, task_fact, within_lists
from remit.policy.refusal import NOT_ACTIVE, OUTSIDE_TASK
from remit.policy.somebody_there import HERE, NOBODY_THERE
from remit.policy.supposed import ON, Supposed, question_of
from remit.tasks import Task

MAX_GIVEN: Final = 8_192  # characters
_WHATEVER: Final = {NOT_ACTIVE, OUTSIDE_TASK, NOBODY_THERE}  # whatever policies say: no fact that they read helps
_YOURS: Final = "`remit status` lists what is yours"


def can(
    realm: Realm, in_force: InForce, reach: Reach, supposed: Supposed, task_id: str, now: float
) -> dict[str, Any]:
    """Outcome, what decides, and of a refusal what would allow it. Raises as `question_of`, and NotAdmittedError."""
    _check_seen(in_force, reach, supposed)
    try:
        question = _as_it_is(question_of(in_force, _by_now(supposed, now)), realm, supposed.given)
    except (NotFoundError, UsageError) as error:
        raise error if reach.role is not Role.PERSON else type(error)(str(error), hint=_YOURS) from None
    listed, held = True, None
    if task_id:
        task = _task(realm, reach, question, task_id, now)
        held = _held(task, question, now)
        listed = within_lists(task, question.thing, {}, question.circumstances)
        question = replace(question, task=task_fact(task, listed) if task.of_a_person else None)
    answer = _not_active(in_force, question) or held or _answer(in_force, question, listed=listed)
    name = question.thing.name if question.thing is not None else _name(in_force, question)
    told = answer.outcome is Outcome.REFUSED and answer.rule not in _WHATEVER
    lacking = missing(question, name, in_force.ask) if told else None
    return {
        **answer.to_json(),
        "who": str(question.principal),
        "action": question.action.value,
        "what": question.acted_on(),
        "reasons": [policy.reason for policy in answer.policies],
        "would": lacking.words if lacking is not None else "",
        "policy_set": in_force.policies.digest,
        "not_enforcing": said(realm.observing)["not_enforcing"],
    }


def _answer(in_force: InForce, question: Question, *, listed: bool) -> Answer:
    """What policies say; what a task doesn't list is refused all the same, unless a person is asked."""
    found = [label for label in Label if label.value in question.found_labels]
    answer = answer_of(in_force.ask(question), found)
    return Answer(Outcome.REFUSED, OUTSIDE_TASK) if answer.outcome is Outcome.ALLOWED and not listed else answer


def _not_active(in_force: InForce, question: Question) -> Answer | None:
    """A workload that is not active does nothing, and nothing is done with it, whatever policies say."""
    rows = (in_force.world.workloads.get(one) for one in (question.resource, question.principal))
    idle = any(row is not None and not row.active for row in rows)
    return Answer(Outcome.REFUSED, NOT_ACTIVE) if idle else None


def _by_now(supposed: Supposed, now: float) -> Supposed:
    """At this hour, unless another one is supposed."""
    return replace(supposed, given={"time": moment_at(now).to_json(), **supposed.given})


def _as_it_is(question: Question, realm: Realm, given: Mapping[str, Any]) -> Question:
    """With whether the person is there, and the facts of this endpoint, unless others are supposed."""
    now: dict[str, Any] = {"presence": realm.presence.get(question.human, "unknown"), "facts": realm.facts()}
    known = {key: value for key, value in now.items() if key not in given}
    return replace(question, circumstances=replace(question.circumstances, **known))


def given_of(text: str) -> dict[str, Any]:
    """The circumstances that came with the question, as JSON; raises UsageError."""
    try:
        given = json.loads(text) if len(text) <= MAX_GIVEN else None
        json.dumps(given, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise UsageError("what is to be supposed is no JSON object", hint="`--with key=value`, a few of them")
    return given


def _check_seen(in_force: InForce, reach: Reach, supposed: Supposed) -> None:
    """Both are the visitor's to see: what others may do is theirs to know."""
    action = next((one for one in Action if one.value == supposed.action), None)
    if action is not None and action in ON and (owner := in_force.thing(ON[action], supposed.what).owner):
        reach.check_sees(f"`{supposed.what}`", owner)
    for name in (supposed.who, supposed.what):
        row = next((one for one in in_force.world.workloads.values() if name in (one.name, str(one.spiffe_id))), None)
        if row is not None:
            reach.check_sees(f"`{name}`", row.owner, row.uid)
        elif name == supposed.who:
            reach.check_sees(f"`{name}`", name)


def _task(realm: Realm, reach: Reach, question: Question, task_id: str, now: float) -> Task:
    """A running task of theirs; raises NotFoundError."""
    task = realm.tasks.get(task_id)
    theirs = task is not None and task.human == question.human and task.held_by(question.principal)
    if task is None or not theirs or not task.live(now) or not reach.sees(task.human):
        raise NotFoundError(f"no task `{task_id}` of theirs is running", hint="`remit task list` has them")
    return task


def _held(task: Task, question: Question, now: float) -> Answer | None:
    """What the task doesn't name, or takes its person there for, is refused whatever policies say."""
    on = question.resource if question.thing is None else None
    if not task.covers(question.action.value, on, now):
        return Answer(Outcome.REFUSED, OUTSIDE_TASK)
    alone = task.present and question.circumstances.presence != HERE
    return Answer(Outcome.REFUSED, NOBODY_THERE) if alone else None


def _name(in_force: InForce, question: Question) -> str:
    row = in_force.world.workloads.get(question.resource)
    return row.name if row is not None else str(question.resource)
