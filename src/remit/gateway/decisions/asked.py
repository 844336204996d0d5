"""An AuthZEN question as an intent: who acts, and what is asked, in Remit's own terms or in the point's."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from remit.errors import AttestationError, ProtocolError
from remit.flow import ArgumentClass
from remit.gateway.circumstances import circumstances_of
from remit.gateway.decisions.about import OURS, WORKLOAD, in_task, named, subject
from remit.gateway.decisions.authzen import Evaluation
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.model_in_force import digest_of, is_approved, model_named
from remit.identity import Caller, SpiffeId
from remit.inventory import DIGEST_UNKNOWN
from remit.policy import Action, Circumstances, Intent
from remit.policy.access import ID, Access, Pairs, facts, over, pairs, same
from remit.policy.circumstances import FlowFacts
from remit.policy.from_flow import arguments, flow_facts
from remit.policy.supposed import ON
from remit.policy.thing import UNKNOWN, Thing, ThingKind
from remit.tasks import Task

DIALECT: Final = "authzen"
_ACTIONS: Final = {action.value: action for action in Action if action is not Action.ACCESS}
DECIDED_BY: Final = ("arguments", "text", "destination", "model", "task")  # of the context


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, read. `task` is the live one that it was asked in."""

    intent: Intent
    task: Task | None


@dataclass(frozen=True, slots=True)
class _On:
    """What it is about, as the Snapshot has it. `given` are the intent's fields that only some kinds have."""

    action: Action
    resource: SpiffeId
    thing: Thing | None = None
    access: Access | None = None
    destination: str | None = None
    given: dict[str, Any] = field(default_factory=dict)


def asked(said: Evaluation, caller: Caller, decisions: Decisions) -> Asked:
    """The intent; raises AttestationError for nobody known here, ProtocolError for what can't be asked.

    1. who acts: the caller, or whom a point names; within the task of its token, or one that a point names
    2. what it is about, as the catalogue has it
    3. the circumstances, with what flowed through the task
    4. what the detector finds in what came along
    """
    zone = decisions.zone
    # 1
    acts, task = in_task(subject(said.subject, caller, decisions), said, caller, decisions)
    # 2
    on = _on(said, caller, decisions)
    # 3
    so = circumstances_of(acts, zone.engine, zone.clock())
    so = replace(so, zone=zone.name, access=on.access, destination=on.destination)
    so = so if task is None else _with_flow(so, on, task, decisions, _classes(said, on, caller, decisions))
    # 4
    found = zone.scrubber.request(_text(said)).found
    return Asked(
        Intent(
            caller=acts,
            action=on.action,
            resource=on.resource,
            route=f"evaluate {on.action.value}",
            dialect=DIALECT,
            stream=False,
            found=found,
            body_sha256=_digest(said),
            thing=on.thing,
            circumstances=so,
            target=f"{said.action} {said.resource.name}",
            **{"model": None, "model_digest": DIGEST_UNKNOWN, **on.given},
        ),
        task,
    )


def kind_of(action: Action) -> str:
    """The type of resource that it is on, as AuthZEN has it: `workload`, `tool`, `source` …"""
    on = ON.get(action)
    return WORKLOAD if on is None else on.value.lower()


def _on(said: Evaluation, caller: Caller, decisions: Decisions) -> _On:
    """In Remit's own terms where all of it is; else in the point's own words."""
    engine, domain = decisions.zone.engine, SpiffeId.of(decisions.zone.snapshot.trust_domain)
    action = _ACTIONS.get(said.action)
    if action is None or said.subject.type not in OURS or said.resource.type != kind_of(action):
        thing = engine.thing(ThingKind.RESOURCE, said.resource.name)
        return _On(Action.ACCESS, domain, thing, _access(said, thing, caller, decisions))
    if action not in ON:
        return _on_a_workload(action, said, decisions)
    thing = engine.thing(ON[action], said.resource.id)
    server = thing.attributes.get("server")
    offered_by = SpiffeId.parse(server) if server else domain
    given = {"arguments": _object(said, "arguments")} if thing.kind is ThingKind.TOOL else {}
    return _On(action, offered_by, thing, destination=_destination(said, decisions), given=given)


def _on_a_workload(action: Action, said: Evaluation, decisions: Decisions) -> _On:
    workload = decisions.zone.engine.workload(named(said.resource, decisions))
    if workload is None:
        raise AttestationError("no such workload is enrolled here")
    name = said.context.get("model")
    if name is not None and not isinstance(name, str):
        raise ProtocolError("`context.model` is not a text")
    model = model_named(workload, name)
    given = {"model": name, "model_digest": digest_of(model), "model_approved": is_approved(workload, model)}
    return _On(action, workload.spiffe_id, given=given)


def _destination(said: Evaluation, decisions: Decisions) -> str | None:
    """The catalogue's id of where it sends data, `unknown` for one that is not listed."""
    name = said.context.get("destination")
    if name is not None and not isinstance(name, str):
        raise ProtocolError("`context.destination` is not a text")
    return None if name is None else decisions.zone.engine.thing(ThingKind.DESTINATION, name).id


def _access(said: Evaluation, resource: Thing, caller: Caller, decisions: Decisions) -> Access:
    """Of what others than points say of a resource or of themselves nothing counts."""
    listed = decisions.zone.engine.thing(ThingKind.SUBJECT, said.subject.name)
    point = decisions.is_point(caller)
    try:
        who_is = over(_listed(listed), pairs(said.subject.properties) if point else frozenset())
        what_is = over(_listed(resource), pairs(said.resource.properties) if point else frozenset())
        says = facts(pairs(said.says))
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    return Access(
        name=said.action,
        who=said.subject.name,
        what=said.resource.name,
        subject=listed.id,
        says=says,
        who_is=facts(who_is),
        what_is=facts(what_is),
        same=same(who_is | {(ID, said.subject.id)}, what_is | {(ID, said.resource.id)}),
    )


def _listed(thing: Thing) -> Pairs:
    if thing.id == UNKNOWN:
        return frozenset()
    split = (one.partition("=") for one in thing.attributes.get("facts", ()))
    return frozenset((key, value) for key, _, value in split)


def _classes(said: Evaluation, on: _On, caller: Caller, decisions: Decisions) -> Mapping[str, ArgumentClass]:
    """Of a tool's arguments: by its schema, where a point brings it, and over that by the catalogue."""
    listed = {} if on.thing is None else on.thing.classes
    schema = _object(said, "schema")
    if schema is None or not decisions.is_point(caller):
        return listed
    return {**decisions.classes(schema), **listed}


def _with_flow(
    so: Circumstances, on: _On, task: Task, decisions: Decisions, classes: Mapping[str, ArgumentClass]
) -> Circumstances:
    flow = decisions.flow(task)
    so = replace(so, flow=_joined(flow_facts(flow), so.flow))
    called_with = on.given.get("arguments")
    if called_with is None or on.thing is None:
        return so
    return replace(so, args=arguments(flow.arguments(called_with, classes)))


def _joined(named: FlowFacts, all_of_them: FlowFacts | None) -> FlowFacts:
    """With the mark of the task that its caller was launched for, which it can't leave by naming another."""
    if all_of_them is None:
        return named
    return replace(named, high=max(named.high, all_of_them.high), untrusted=named.untrusted or all_of_them.untrusted)


def _object(said: Evaluation, key: str) -> dict[str, Any] | None:
    value = said.context.get(key)
    if value is not None and not isinstance(value, dict):
        raise ProtocolError(f"`context.{key}` is not an object")
    return value


def _text(said: Evaluation) -> Any:
    """What is looked through for secrets: all that a point would pass on."""
    return {key: said.context[key] for key in ("arguments", "text") if key in said.context} or None


def _digest(said: Evaluation) -> bytes:
    """Of all that was decided on, and of nothing else that the point may have said."""
    context = {key: said.context.get(key) for key in DECIDED_BY}
    whole = (said.subject.name, said.subject.properties, said.says, said.resource.properties, context)
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).digest()
