"""The start record of a call: what was known and decided, without names, prompts or outputs."""

from typing import Any, Final

from remit.audit import ProcessFacts, Start
from remit.gateway.call import Call
from remit.gateway.said import said
from remit.gateway.zone import Zone
from remit.identity import Caller
from remit.policy import Approval, Intent, Permit, PolicyRef
from remit.policy.kept import kept
from remit.policy.observing import ONLY_OBSERVED
from remit.redaction import Scrubber

# Names that callers, tool servers and catalogues chose: in the facts, and in what is in them.
_CHOSEN: Final = frozenset({"thing", "destination", "access"})
_CHOSEN_IN: Final = {"flow": "did", "task": "tools"}


def started(call: Call, intent: Intent, permit: Permit, zone: Zone) -> Start:
    """The record of an allowed call."""
    first = permit.policies[0] if permit.policies else None
    return _start(
        call,
        intent.caller,
        intent,
        zone,
        outcome="allowed",
        policies=permit.policies,
        rule=first.id if first else ONLY_OBSERVED,
        reason=first.reason if first else "",
        observed=permit.observed,
    )


def refused(
    call: Call, zone: Zone, *, rule: str, reason: str, missing: str = "", policies: tuple[PolicyRef, ...] = ()
) -> Start:
    """The record of a refused call, with as much as was known when it was refused."""
    return _start(
        call,
        call.caller,
        call.intent,
        zone,
        outcome="refused",
        policies=policies,
        rule=rule,
        reason=reason,
        missing=missing,
    )


def _start(
    call: Call,
    caller: Caller | None,
    intent: Intent | None,
    zone: Zone,
    *,
    outcome: str,
    policies: tuple[PolicyRef, ...],
    rule: str,
    reason: str,
    missing: str = "",
    observed: tuple[PolicyRef, ...] = (),
) -> Start:
    snapshot = zone.snapshot
    what = _what(call, intent, zone)
    if observed:  # not enforced: what they would have refused is on record all the same
        what["facts"] = {**what["facts"], "observed": [ref.id for ref in observed]}
    if call.approval is not None:
        what["facts"] = {**what["facts"], "approval": _approval(call.approval, zone)}
    if snapshot.observing:
        what["facts"] = {**what.get("facts", {}), "observing": True}
    return Start(
        id=call.id,
        outcome=outcome,
        **_who(caller),
        **what,
        policies=policies,
        rule=rule,
        reason=said(reason, zone.scrubber) if outcome == "refused" else reason,
        missing=said(missing, zone.scrubber) if missing else "",
        policy_set=snapshot.policy_set,
        epoch=snapshot.epoch,
        grade=snapshot.grade,
        t=call.now,
        m=call.started,
    )


def _approval(approval: Approval, zone: Zone) -> dict[str, str]:
    """By which it went on, and whose word that was: self-confirmed is never called approved."""
    persons = {human.name: human.person for human in zone.snapshot.humans}
    kind = "self-confirmed" if approval.self_confirmed else "approved"
    return {"id": approval.id, "kind": kind, "by": persons.get(approval.by, "")}


def _who(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {"person": None, "workload": None, "proof": None, "process": None, "task": None}
    return {
        "person": caller.person,
        # A person's own processes have the person's name in their SPIFFE ID: the pseudonym stands for it.
        "workload": str(caller.spiffe_id) if caller.enrolled else None,
        "proof": caller.proof.value,
        "process": None if caller.process is None else ProcessFacts.of(caller.process),
        "task": caller.task,
        "chain": tuple([str(actor) for actor in caller.chain]) if caller.chain else (),
    }


def _what(call: Call, intent: Intent | None, zone: Zone) -> dict[str, Any]:
    if intent is None:
        return {
            "action": "",
            "resource": str(call.resource),
            "route": said(call.route, zone.scrubber),
            "dialect": "",
            "model": None,
            "model_digest": "",
            "found": {},
            "body": "",
        }
    return {
        "action": intent.action.value,
        "resource": str(intent.resource),
        "route": intent.route,
        "dialect": intent.dialect,
        # not what was found in the body alone: the name may have come in the path or the query
        "model": said(intent.model, zone.scrubber) if intent.model else intent.model,
        "model_digest": intent.model_digest,
        "found": {rule: label.value for rule, label in intent.found},
        "body": zone.digests.digest(intent.body_sha256),
        "facts": _clean(kept(intent, zone.engine.task(intent.caller.task)), zone.scrubber),
    }


def _clean(facts: dict[str, Any], scrubber: Scrubber) -> dict[str, Any]:
    """The same, with the names in it as the log may keep them: callers, tool servers and catalogues chose them."""
    for key in _CHOSEN & facts.keys():
        facts[key] = _said_in(facts[key], scrubber)
    for key, names in _CHOSEN_IN.items():
        if names in facts.get(key, ()):
            facts[key][names] = _said_in(facts[key][names], scrubber)
    return facts


def _said_in(value: str | list[str], scrubber: Scrubber) -> str | list[str]:
    return said(value, scrubber) if isinstance(value, str) else [said(one, scrubber) for one in value]
