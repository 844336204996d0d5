"""A slow and obvious decision: plain Cedar from strings over all policies, and the task rule in words.

Nothing here is shared with the engine but the types: no slices, no caches, no handles.
"""

import re
from dataclasses import dataclass
from typing import Any

import cedarpy

from remit.identity import SpiffeId
from remit.policy import Intent, Snapshot
from remit.policy.schema import SCHEMA_TEXT


@dataclass(frozen=True)
class Answer:
    allowed: bool
    rule: str  # of a refusal: a built-in rule, `default-deny` or `forbid`
    policies: frozenset[str]  # `@id`s of the determining policies


def decide(snapshot: Snapshot, intent: Intent, now: float) -> Answer:
    refused = _before_cedar(snapshot, intent, now)
    if refused:
        return Answer(False, refused, frozenset())
    policies = "\n".join(file.text for file in snapshot.policy_files)
    request = {
        "principal": {"type": "Workload", "id": str(intent.caller.spiffe_id)},
        "action": {"type": "Action", "id": str(intent.action)},
        "resource": {"type": "Workload", "id": str(intent.resource)},
        "context": _context(snapshot, intent),
    }
    try:
        result = cedarpy.is_authorized(request, policies, _entities(snapshot, intent), SCHEMA_TEXT)
    except ValueError:
        return Answer(False, "remit:policy-error", frozenset())
    if result.diagnostics.errors:
        return Answer(False, "remit:policy-error", frozenset())
    ids = frozenset(result.diagnostics.id_annotations_by_reason.values())
    if not result.allowed:
        return Answer(False, "forbid" if ids else "default-deny", ids)
    if _refuses_what_was_found(policies, ids, intent):
        return Answer(False, "found", ids)
    return Answer(True, "", ids)


def _before_cedar(snapshot: Snapshot, intent: Intent, now: float) -> str:
    enrolled = {workload.spiffe_id for workload in snapshot.workloads}
    caller = intent.caller
    if now >= snapshot.issued + snapshot.lifetime or now < snapshot.issued - snapshot.lifetime:
        return "remit:snapshot-expired"
    if intent.resource not in enrolled:
        return "remit:not-enrolled"
    a_person = str(caller.spiffe_id).startswith(f"spiffe://{snapshot.trust_domain}/user/")
    if caller.enrolled != (caller.spiffe_id in enrolled) or not (caller.enrolled or a_person):
        return "remit:unknown-caller"
    if caller.task is not None and not any(
        task.id == caller.task
        and task.human == caller.human
        and task.ended is None
        and task.started <= now < task.expires
        and str(intent.action) in task.actions
        and task.on == intent.resource
        for task in snapshot.tasks
    ):
        return "remit:outside-task"
    return ""


def _entities(snapshot: Snapshot, intent: Intent) -> list[dict[str, Any]]:
    rows = [
        _workload(
            row.spiffe_id,
            row.owner,
            kind=row.kind.value,
            server=row.server,
            environment=row.environment,
            label=row.label.value,
            enrolled=True,
        )
        for row in snapshot.workloads
    ]
    for entity, row in zip(rows, snapshot.workloads, strict=True):
        entity["attrs"]["class"] = [capability.value for capability in row.capabilities]
    caller = intent.caller
    if not caller.enrolled:
        rows.append(
            _workload(
                caller.spiffe_id,
                caller.human,
                kind="process",
                server="",
                environment="",
                label="unknown",
                enrolled=False,
            )
        )
    return rows


def _workload(spiffe_id: SpiffeId, owner: str, **attributes: str | bool) -> dict[str, Any]:
    human = {"__entity": {"type": "Human", "id": owner}}
    return {
        "uid": {"type": "Workload", "id": str(spiffe_id)},
        "attrs": {**attributes, "owner": human, "class": []},
        "parents": [],
    }


def _context(snapshot: Snapshot, intent: Intent) -> dict[str, Any]:
    caller = intent.caller
    context: dict[str, Any] = {
        "proof": str(caller.proof),
        "exhaustive": caller.exhaustive,
        "human": {"__entity": {"type": "Human", "id": caller.human}},
        "stream": intent.stream,
        "model": {
            "name": intent.model or "",
            "digest": intent.model_digest,
            "known": intent.model_digest.startswith("sha256:"),
            "approved": intent.model_approved,
            "signed": False,
        },
        "found": sorted({rule for rule, _ in intent.found}),
        "found_labels": sorted({str(label) for _, label in intent.found}),
        "asked": intent.route,
        "grade": snapshot.grade,
        "facts": [],
        "presence": "unknown",
        "time": {"hour": 0, "weekday": 1},
        "zone": {"__entity": {"type": "Zone", "id": "inference"}},
    }
    for task in snapshot.tasks:
        if task.id == caller.task:
            context["task"] = {
                "id": {"__entity": {"type": "Task", "id": task.id}},
                "actions": list(task.actions),
                "on": {"__entity": {"type": "Workload", "id": str(task.on)}},
                "tools": [],
                "fits": True,
                "ceiling": 3,
                "profile": "",
            }
    return context


def _refuses_what_was_found(policies: str, ids: frozenset[str], intent: Intent) -> bool:
    """Read the annotations off the text: each policy of the oracle's inputs starts with its `@id` line."""
    for block in re.split(r'(?=@id\(")', policies):
        named = re.match(r'@id\("([^"]*)"\)', block)
        if named and named[1] in ids:
            refused = set(re.findall(r'@on_(\w+)\("refuse"\)', block))
            if any(str(label) in refused for _, label in intent.found):
                return True
    return False
