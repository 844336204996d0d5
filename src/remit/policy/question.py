"""A question as Cedar hears it: the facts of one request, typed, and the world of entities they speak of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cedarpy import Entities

from remit.identity import SpiffeId
from remit.inventory import DIGEST_UNKNOWN, Workload
from remit.inventory.binding import Standing, standing_of
from remit.policy.circumstances import NONE, Circumstances
from remit.policy.intent import Action, Intent
from remit.policy.schema import schema
from remit.policy.thing import RANKS, Thing, ThingKind
from remit.tasks import Task

USER: Final = "user"  # spiffe://TRUST-DOMAIN/user/NAME: a person's processes that are no workload of their own
KNOWN_DIGEST: Final = "sha256:"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskFact:
    """What policies may know of the live task that a request came with. `ceiling` is a rank; `fits`: tool and
    arguments are within what it lists."""

    id: str
    on: SpiffeId
    actions: tuple[str, ...]
    tools: tuple[str, ...] = ()
    fits: bool = True
    ceiling: int = 3
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """All that a decision can depend on. `owner` owns the principal; `human` answers for this request.

    What is acted on is the workload `resource`, or the `thing` that it offers.
    """

    principal: SpiffeId
    owner: str
    enrolled: bool
    human: str
    action: Action
    resource: SpiffeId
    resource_owner: str
    proof: str
    exhaustive: bool
    stream: bool
    model: str
    digest: str
    found: tuple[str, ...]
    found_labels: tuple[str, ...]
    task: TaskFact | None
    asked: str
    grade: str
    approved: bool = False
    thing: Thing | None = None
    circumstances: Circumstances = NONE

    def request(self) -> Json:
        """The request in Cedar's terms. EUIDs are dicts: an id may hold anything, quotes and newlines too."""
        return {
            "principal": {"type": "Workload", "id": str(self.principal)},
            "action": {"type": "Action", "id": self.action.value},
            "resource": self.acted_on(),
            "context": self.context(),
        }

    def acted_on(self) -> Json:
        """The EUID of what is acted on."""
        if self.thing is not None:
            return {"type": self.thing.kind.value, "id": self.thing.id}
        return {"type": "Workload", "id": str(self.resource)}

    def context(self) -> Json:
        """Every key of the schema's `Call`; those of circumstances and `task` only where there are any."""
        context: Json = {
            "proof": self.proof,
            "exhaustive": self.exhaustive,
            "human": entity("Human", self.human),
            "stream": self.stream,
            "model": {
                "name": self.model,
                "digest": self.digest,
                "known": self.digest.startswith(KNOWN_DIGEST),
                "approved": self.approved,
                "signed": False,
            },
            "found": list(self.found),
            "found_labels": list(self.found_labels),
            "asked": self.asked,
            "grade": self.grade,
            **self.circumstances.to_json(),
        }
        if self.task is not None:
            context["task"] = {
                "id": entity("Task", self.task.id),
                "actions": list(self.task.actions),
                "on": entity("Workload", str(self.task.on)),
                "tools": list(self.task.tools),
                "fits": self.task.fits,
                "ceiling": self.task.ceiling,
                "profile": self.task.profile,
            }
        return context


def of_intent(intent: Intent, owner: str, target: Workload | Thing, task: Task | None, grade: str) -> Question:
    """The question that an intent asks; `owner` owns the caller, `task` is live and covers the intent."""
    caller = intent.caller
    return Question(
        principal=caller.spiffe_id,
        owner=owner,
        enrolled=caller.enrolled,
        human=caller.human,
        action=intent.action,
        resource=intent.resource,
        resource_owner=target.owner,
        proof=caller.proof.value,
        exhaustive=caller.exhaustive,
        stream=intent.stream,
        model=intent.model or "",
        digest=intent.model_digest,
        found=tuple(dict.fromkeys(rule for rule, _ in intent.found)),
        found_labels=tuple(sorted({label.value for _, label in intent.found})),
        task=None if task is None else task_fact(task, fits(intent, task)),
        asked=intent.route,
        grade=grade,
        approved=intent.model_approved,
        thing=intent.thing,
        circumstances=intent.circumstances,
    )


def task_fact(task: Task, fitting: bool) -> TaskFact:
    """What policies may know of this task."""
    tools = tuple(grant.tool for grant in task.tools)
    return TaskFact(task.id, task.on, task.actions, tools, fitting, RANKS[task.ceiling.value], task.profile)


def fits(intent: Intent, task: Task) -> bool:
    """Whether tool and arguments, where it sends data, and how sensitive data is are within what the task lists."""
    return within_lists(task, intent.thing, intent.arguments, intent.circumstances)


def within_lists(
    task: Task, thing: Thing | None, arguments: Mapping[str, object] | None, circumstances: Circumstances
) -> bool:
    """As `fits`, of something that nobody asked yet."""
    destination, flow = circumstances.destination, circumstances.flow
    ceiling = RANKS[task.ceiling.value]
    if flow is not None and flow.high > ceiling:
        return False
    if thing is not None and thing.kind is ThingKind.SOURCE and RANKS[thing.label] > ceiling:
        return False
    if thing is not None and thing.kind is ThingKind.TOOL and not task.fits(thing.id, arguments):
        return False
    if thing is not None and thing.kind is ThingKind.DESTINATION and not task.sends_to(thing.id):
        return False
    return destination is None or task.sends_to(destination)


def in_general(principal: SpiffeId, own: Workload | None, human: str, resource: Workload, grade: str) -> Question:
    """Asked by a caller known beyond doubt, of the first model there, with nothing found in what it sends.

    `own` is the principal's enrolment, None for a person's process.
    """
    model = resource.models[0] if resource.models else None
    return Question(
        principal=principal,
        owner=own.owner if own else human,
        enrolled=own is not None,
        human=human,
        action=Action.INFER,
        resource=resource.spiffe_id,
        resource_owner=resource.owner,
        proof="unix",
        exhaustive=True,
        stream=False,
        model=model.name if model else "",
        digest=model.digest if model else DIGEST_UNKNOWN,
        found=(),
        found_labels=(),
        task=None,
        asked="",
        grade=grade,
        approved=model is not None and standing_of(resource, model) is Standing.APPROVED,
    )


def in_a_task(question: Question) -> Question:
    """The same, asked within a live task that names exactly this."""
    return replace(question, task=TaskFact("", question.resource, (question.action.value,)))


def entity(kind: str, name: str) -> Json:
    """A reference to an entity in Cedar's JSON."""
    return {"__entity": {"type": kind, "id": name}}


def workload_entity(workload: Workload) -> Json:
    """An enrolled workload as Cedar's entity."""
    return _entity(
        workload.spiffe_id,
        owner=entity("Human", workload.owner),
        kind=workload.kind.value,
        server=workload.server,
        environment=workload.environment,
        label=workload.label.value,
        classes=sorted(capability.value for capability in workload.capabilities),
        enrolled=True,
    )


def person_entity(spiffe_id: SpiffeId, human: str) -> Json:
    """A person's process that is no workload of its own: owned by the person, and nothing else is known of it."""
    return _entity(
        spiffe_id,
        owner=entity("Human", human),
        kind="process",
        server="",
        environment="",
        label="unknown",
        classes=[],
        enrolled=False,
    )


def entities(rows: Sequence[Json]) -> Entities:
    """Entities, each checked against the schema here, once; raises ValueError for one that does not fit."""
    return Entities.from_json_str(json.dumps(rows), schema())


def _entity(spiffe_id: SpiffeId, *, classes: list[str], **attributes: Any) -> Json:
    return {
        "uid": {"type": "Workload", "id": str(spiffe_id)},
        "attrs": {**attributes, "class": classes},
        "parents": [],
    }
