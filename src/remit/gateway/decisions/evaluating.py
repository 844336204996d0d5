"""One evaluation or several, decided, recorded and answered as AuthZEN has it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from remit.errors import AttestationError, ProtocolError, RemitError, StateError
from remit.gateway.call import Call
from remit.gateway.decisions.about import NotYoursError
from remit.gateway.decisions.asked import DECIDED_BY, Asked, asked
from remit.gateway.decisions.authzen import Evaluation, batch, evaluation
from remit.gateway.decisions.decide import decide, refuse
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.decisions.marks import raise_for_source, raised_by_question
from remit.gateway.refusals import refusal_of
from remit.identity import Caller, SpiffeId
from remit.policy import Intent, Permit, RefusedError
from remit.policy.observing import not_enforced
from remit.policy.permit import ApprovalNeededError

Answer = dict[str, Any]


@dataclass(slots=True)
class _Doing:
    """One question that is being decided. `done` is what counts as done by it alone, and doesn't stand in its way."""

    said: Evaluation
    caller: Caller
    question: Asked
    decisions: Decisions
    done: frozenset[str] = frozenset()

    def anew(self) -> Intent:
        """The same question, as all is by now."""
        intent = asked(self.said, self.caller, self.decisions).intent
        so = intent.circumstances
        if so.flow is None or not self.done:
            return intent
        before = tuple(name for name in so.flow.did if name not in self.done)
        return replace(intent, circumstances=replace(so, flow=replace(so.flow, did=before)))

    def does(self) -> None:
        """Later policies of this task read that it was done."""
        if self.question.task is None:
            return
        thing = self.question.intent.thing
        flow = self.decisions.flow(self.question.task)
        before = frozenset(flow.done)
        flow.did(self.question.intent.action.value, *([thing.id] if thing is not None else []))
        self.done = frozenset(flow.done) - before


async def evaluate(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Answer:
    """The Access Evaluation API (section 6); raises NotYoursError."""
    return await _decision(evaluation(body), caller, decisions)


async def evaluate_all(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Answer:
    """The Access Evaluations API (section 7): all of them, or as many as it takes to know."""
    several = batch(body)
    if several is None:
        return await evaluate(body, caller, decisions)
    if several.semantic == "execute_all":
        every = (_in_batch(one, caller, decisions) for one in several.evaluations)
        return {"evaluations": list(await asyncio.gather(*every))}
    ends = several.semantic == "permit_on_first_permit"
    answers: list[Answer] = []
    for one in several.evaluations:
        answers.append(await _in_batch(one, caller, decisions))
        if answers[-1]["decision"] is ends:
            break
    return {"evaluations": answers}


async def _in_batch(said: Evaluation | ProtocolError, caller: Caller, decisions: Decisions) -> Answer:
    """What can't be asked is a denial of its own there (section 7.2.1)."""
    if isinstance(said, ProtocolError):
        return _unread(said)
    try:
        return await _decision(said, caller, decisions)
    except ProtocolError as error:
        return _unread(error)


async def _decision(said: Evaluation, caller: Caller, decisions: Decisions) -> Answer:
    zone = decisions.zone
    call = Call.begin(SpiffeId.of(zone.snapshot.trust_domain), zone.clock(), zone.monotonic(), _nothing)
    call.by(caller)
    try:
        question = asked(said, caller, decisions)
        if await raised_by_question(question, decisions):
            question = asked(said, caller, decisions)
    except (ProtocolError, AttestationError) as error:
        await refuse(error, zone, call, caller)
        if isinstance(error, NotYoursError):
            raise
        return _denied(error, call)
    call.resource = question.intent.resource
    try:
        doing = _Doing(said, caller, question, decisions)
        intent, shown = question.intent, _shown(said)
        permit = await decide(intent, zone, call, by=caller, anew=doing.anew, does=doing.does, value=shown)
        await raise_for_source(question, decisions)
    except (RefusedError, ProtocolError, StateError) as error:
        return _denied(error, call)
    return {"decision": True, "context": _allowed(permit, call, zone.snapshot.observing)}


def _shown(said: Evaluation) -> Answer:
    """What people see who are asked to agree: all that it hangs on, in the point's own words."""
    return {
        "subject": {"type": said.subject.type, "id": said.subject.id, "properties": said.subject.properties},
        "action": {"name": said.action, "properties": said.says},
        "resource": {"type": said.resource.type, "id": said.resource.id, "properties": said.resource.properties},
        "context": {key: said.context[key] for key in DECIDED_BY if key in said.context},
    }


def _allowed(permit: Permit, call: Call, observing: bool) -> Answer:
    which = not_enforced(observing, permit.observed)
    said = {"not_enforcing": which} if which else {}
    return {"id": call.id, "policies": [str(policy) for policy in permit.policies], **said}


def _denied(error: RemitError, call: Call) -> Answer:
    """Why, for whoever asked: never a way to widen what they may."""
    refusal = refusal_of(call, error)
    context: Answer = {
        "id": call.id,
        "rule": refusal.rule,
        "policies": list(refusal.policies),
        "reason_user": {"en": refusal.message},
    }
    if refusal.hint:
        context["hint"] = refusal.hint
    if isinstance(error, ApprovalNeededError):
        context["approval"] = {"needed": error.approver, "handle": error.handle}
    return {"decision": False, "context": context}


def _unread(error: ProtocolError) -> Answer:
    return {"decision": False, "context": {"error": {"status": error.status, "message": str(error)}}}


def _nothing(_: str) -> None:
    """There is no connection to cut: the point enforces by itself."""
