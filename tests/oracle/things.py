"""A slow and obvious decision about things: plain Cedar from strings over all policies and all that is listed.

Nothing here is shared with the engine but the types of what is asked: the task's lists and approvals are in words.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cedarpy

from remit.policy import Intent, Snapshot
from remit.policy.schema import SCHEMA_TEXT
from remit.tasks import Task

RANK = {"public": 0, "internal": 1, "confidential": 2, "restricted": 3}
STRICTEST: Mapping[str, Mapping[str, Any]] = {
    "Tool": {"server": "", "side_effects": True},
    "Source": {"trusted": False},
    "Destination": {"clearance": 0, "internal": False},
    "Credential": {},
}
LEVEL = {"owner": 1, "approver": 2}


@dataclass(frozen=True)
class Listed:
    """One thing as the catalogue of the test has it."""

    kind: str
    id: str
    owner: str
    label: str
    own: Mapping[str, Any]


@dataclass(frozen=True)
class Agreed:
    """What a person agreed to: one intent, under one set of policies, as `owner` or `approver`."""

    asked: Intent
    policy_set: str
    level: str
    until: float


@dataclass(frozen=True)
class Said:
    outcome: str  # allowed, refused, asks
    rule: str
    policies: frozenset[str]


def decide(
    snapshot: Snapshot, listed: Sequence[Listed], asked: Intent, now: float, agreed: Agreed | None = None
) -> Said:
    caller, task = asked.caller, None
    if caller.task is not None:
        task = next((one for one in snapshot.tasks if one.id == caller.task), None)
        live = task is not None and task.ended is None and task.started <= now < task.expires
        if task is None or not live or task.human != caller.human or str(asked.action) not in task.actions:
            return Said("refused", "remit:outside-task", frozenset())
    blocks = [block for file in snapshot.policy_files if file.name.endswith(".cedar") for block in _blocks(file.text)]
    enforced = "\n".join(block for block in blocks if '@mode("observe")' not in block)
    assert asked.thing is not None
    request = {
        "principal": {"type": "Workload", "id": str(caller.spiffe_id)},
        "action": {"type": "Action", "id": str(asked.action)},
        "resource": {"type": asked.thing.kind.value, "id": asked.thing.id},
        "context": _context(snapshot, listed, asked),
    }
    result = cedarpy.is_authorized(request, enforced, _entities(listed, asked), SCHEMA_TEXT)
    if result.diagnostics.errors:
        return Said("refused", "remit:policy-error", frozenset())
    ids = frozenset(result.diagnostics.id_annotations_by_reason.values())
    if not result.allowed:
        return Said("refused", "forbid" if ids else "default-deny", ids)
    named = [block for block in blocks if _id(block) in ids]
    needed = max([LEVEL[word] for block in named for word in re.findall(r'@approval\("(\w+)"\)', block)], default=0)
    if needed == 0 and task is not None and not _listed_by(snapshot, listed, asked):
        return Said("refused", "remit:outside-task", ids)
    if needed and not _agreed(snapshot, asked, needed, now, agreed):
        return Said("asks", "", frozenset(_id(block) for block in named if _level(block) == needed))
    return Said("allowed", "", ids)


def _agreed(snapshot: Snapshot, asked: Intent, needed: int, now: float, agreed: Agreed | None) -> bool:
    if agreed is None or now >= agreed.until or LEVEL[agreed.level] < needed:
        return False
    return agreed.policy_set == snapshot.policy_set and _bound(agreed.asked) == _bound(asked)


def _bound(asked: Intent) -> list[Any]:
    """What somebody who agrees has in mind: who, what, with what, where to, from where."""
    so, caller = asked.circumstances, asked.caller
    flow = None if so.flow is None else (so.flow.high, so.flow.untrusted)
    said = json.dumps(asked.arguments, sort_keys=True)
    return [
        caller.spiffe_id, caller.human, caller.task, asked.action, asked.thing and asked.thing.id, asked.route,
        asked.target, said, asked.body_sha256, so.args, flow, so.destination, asked.found,
    ]  # fmt: skip


def _listed_by(snapshot: Snapshot, listed: Sequence[Listed], asked: Intent) -> bool:
    """Whether the task's lists have it: tools with fixed arguments, destinations by name, labels."""
    task = next(one for one in snapshot.tasks if one.id == asked.caller.task)
    thing, so, ceiling = asked.thing, asked.circumstances, RANK[task.ceiling.value]
    assert thing is not None
    source = next((one for one in listed if one.kind == "Source" and one.id == thing.id), None)
    sources = [] if thing.kind.value != "Source" else [source.label if source else "restricted"]
    sensitive = [*(RANK[label] for label in sources), so.flow.high if so.flow is not None else 0]
    places = {so.destination, thing.id if thing.kind.value == "Destination" else None} - {None}
    if max(sensitive) > ceiling or not places <= set(task.destinations):
        return False
    return thing.kind.value != "Tool" or _tool_listed(task, thing.id, asked.arguments)


def _tool_listed(task: Task, tool: str, said: Mapping[str, object] | None) -> bool:
    for grant in task.tools:
        values = {name: bound.to_dict() for name, bound in grant.constraints}
        if grant.tool == tool and all(
            said is not None and said.get(name) in bound["one_of"] for name, bound in values.items()
        ):
            return True
    return False


def _entities(listed: Sequence[Listed], asked: Intent) -> list[dict[str, Any]]:
    rows = [
        _entity(one.kind, one.id, one.owner, one.label, {**STRICTEST[one.kind], **one.own, "known": True})
        for one in listed
    ]
    rows += [_entity(kind, "unknown", "", "restricted", {**own, "known": False}) for kind, own in STRICTEST.items()]
    caller = asked.caller
    human = {"__entity": {"type": "Human", "id": caller.human}}
    attrs = {"owner": human, "kind": "process", "server": "", "environment": "", "label": "unknown", "class": []}
    return [
        *rows,
        {
            "uid": {"type": "Workload", "id": str(caller.spiffe_id)},
            "attrs": {**attrs, "enrolled": False},
            "parents": [],
        },
    ]


def _entity(kind: str, named: str, owner: str, label: str, own: Mapping[str, Any]) -> dict[str, Any]:
    who = {"__entity": {"type": "Human", "id": owner}}
    return {
        "uid": {"type": kind, "id": named},
        "attrs": {"owner": who, "environment": "", "label": label, **own},
        "parents": [],
    }


def _context(snapshot: Snapshot, listed: Sequence[Listed], asked: Intent) -> dict[str, Any]:
    caller, so = asked.caller, asked.circumstances
    context: dict[str, Any] = {
        "proof": str(caller.proof),
        "exhaustive": caller.exhaustive,
        "human": {"__entity": {"type": "Human", "id": caller.human}},
        "stream": asked.stream,
        "model": {"name": "", "digest": "unknown", "known": False, "approved": False, "signed": False},
        "found": [],
        "found_labels": [],
        "asked": asked.route,
        "grade": snapshot.grade,
        "facts": list(so.facts),
        "presence": so.presence,
        "time": {"hour": so.moment.hour, "weekday": so.moment.weekday},
        "zone": {"__entity": {"type": "Zone", "id": so.zone}},
    }
    for task in snapshot.tasks:
        if task.id == caller.task:
            context["task"] = {
                "id": {"__entity": {"type": "Task", "id": task.id}},
                "actions": list(task.actions),
                "on": {"__entity": {"type": "Workload", "id": str(task.on)}},
                "tools": [grant.tool for grant in task.tools],
                "fits": _listed_by(snapshot, listed, asked),
                "ceiling": RANK[task.ceiling.value],
                "profile": task.profile,
            }
    if so.args is not None:
        parts = ("classes", "human", "trusted", "claimed", "untrusted", "unseen")
        context["args"] = {part: list(getattr(so.args, part)) for part in parts}
    if so.flow is not None:
        context["flow"] = {"high": so.flow.high, "untrusted": so.flow.untrusted, "did": list(so.flow.did)}
    if so.destination is not None:
        context["destination"] = {"__entity": {"type": "Destination", "id": so.destination}}
    return context


def _blocks(text: str) -> list[str]:
    return [block for block in re.split(r'(?=@id\(")', text) if block.strip()]


def _id(block: str) -> str:
    found = re.match(r'@id\("([^"]*)"\)', block)
    return found[1] if found else ""


def _level(block: str) -> int:
    return max([LEVEL[word] for word in re.findall(r'@approval\("(\w+)"\)', block)], default=0)
