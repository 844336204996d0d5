"""One decision for another enforcement point: made, recorded, and only then told. Both skins decide by it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from remit.audit import Start
from remit.errors import ProtocolError, RemitError, StateError
from remit.gateway.call import Call
from remit.gateway.consider import LEAST, WithoutControlError
from remit.gateway.decisions.spending import one_call
from remit.gateway.decisions.verbatim import check_unmasked
from remit.gateway.model_in_force import check_model
from remit.gateway.people import agreed
from remit.gateway.record import started
from remit.gateway.refusals import record_of
from remit.gateway.zone import Zone
from remit.identity import Caller
from remit.policy import Action, ApprovalNeededError, Intent, Permit, RefusedError

READS: Final = LEAST | {Action.RETRIEVE, Action.READ_RESOURCE, Action.GET_PROMPT}


async def decide(
    intent: Intent,
    zone: Zone,
    call: Call,
    *,
    by: Caller,
    anew: Callable[[], Intent],
    wait: float | None = 0.0,
    value: Any = None,
    does: Callable[[], None] = lambda: None,
) -> Permit:
    """The permit, once it is on record; raises RefusedError or ProtocolError (on record as well), and AuditError.

    `by` asks, for itself or as an enforcement point. `value` is what would be sent, for people to see.

    0. with control gone, nothing that may have side effects: nobody could revoke it
    1. a server has the model that it is bound to; may it, once people agreed where that is needed: `wait` is for how
       many seconds they are waited for (None: as long as is usual), `anew` the intent as it is by then. Raises
       ApprovalNeededError with a handle while nobody answered
    2. as it is: nothing here can mask what the point passes on, so VerbatimError where something would have to be.
       `does` notes what is done, before anything else is decided: what is asked together is asked one by one
    3. its task has a call left
    4. written down, durably, before it is told; the point enforces it by itself, so for the log the call ends here
    5. nothing that it was permitted by has ended meanwhile

    Left to the caller: to know who asks and for whom, and to find what is in the text.
    """
    call.by(intent.caller)
    call.asks(intent)
    try:
        # 0
        check_control(intent, zone)
        # 1
        check_itself(intent, zone, call)
        permit = call.may(await _permitted(intent, zone, call, wait, anew, value))
        # 2
        check_unmasked(intent, permit)
        does()
        # 3
        await one_call(call, zone)
        if permit.epoch != zone.snapshot.epoch:  # the record is of what is in force as it is written
            permit = call.may(_as_of_now(anew, zone, call))
    except (RefusedError, ProtocolError) as error:
        await refuse(error, zone, call, by)
        raise
    # 4
    start = of_point(by, started(call, call.intent or intent, permit, zone))
    receipt = await zone.audit.record(start, permit.intent_digest)
    receipt.spend(permit.intent_digest)
    zone.audit.note(call.end("decided"))
    zone.not_enforced.count(call.intent, permit)
    # 5
    still(permit, zone, call, anew)
    return permit


def check_itself(intent: Intent, zone: Zone, call: Call) -> None:
    """Raises RefusedError for a server whose model is another than the one it is bound to."""
    workload = zone.workload(intent.resource) if intent.thing is None else None
    if workload is not None:
        check_model(intent, workload, call.id)


def check_control(intent: Intent, zone: Zone) -> None:
    """Raises WithoutControlError for what may change something, while control is gone."""
    reads = intent.action in READS
    if intent.action is Action.CALL_TOOL and intent.thing is not None:
        reads = intent.thing.attributes.get("side_effects") is False
    if zone.control_gone and not reads:
        raise WithoutControlError(
            f"`{intent.route}` may change something, and the control process is gone",
            status=503,
            hint="ask whoever runs remit on this machine",
        )


async def _permitted(
    intent: Intent, zone: Zone, call: Call, wait: float | None, anew: Callable[[], Intent], value: Any
) -> Permit:
    """What was agreed to is decided again, as all is by now: an approval is of exactly what was asked."""
    try:
        return zone.engine.decide(intent, call.now, call.id)
    except ApprovalNeededError as error:
        needed = error
    call.approval = await agreed(intent, value, needed, zone, wait)
    return _as_of_now(anew, zone, call)


def _as_of_now(anew: Callable[[], Intent], zone: Zone, call: Call) -> Permit:
    intent = call.asks(anew())
    permit = zone.engine.decide(intent, zone.clock(), call.id, call.approval)
    check_unmasked(intent, permit)
    return permit


async def refuse(error: RemitError, zone: Zone, call: Call, by: Caller) -> None:
    """Write down that it was refused; raises AuditError when it can't be."""
    await zone.audit.record(of_point(by, record_of(call, zone, error)), b"")


def of_point(by: Caller, start: Start) -> Start:
    """The record, with who asked where that is another: a person's process by the person's pseudonym."""
    point = str(by.spiffe_id) if by.enrolled else by.person
    itself = start.workload == point if by.enrolled else start.workload is None and start.person == point
    if itself and start.proof == by.proof.value:
        return start
    return replace(start, facts={**start.facts, "point": point})


def still(permit: Permit, zone: Zone, call: Call, anew: Callable[[], Intent]) -> None:
    """Raises StateError when what it was permitted by ended, or was edited, while it was being written down."""
    now = zone.clock()
    task = zone.engine.task(call.task)
    over = call.task is not None and (task is None or not task.live(now))
    gone = now >= permit.expires or zone.engine.idle(call.resource, call.caller) is not None
    if over or gone or not _permits_still(permit, zone, call, anew):
        raise StateError("what this was permitted by has just ended", hint="ask again")


def _permits_still(permit: Permit, zone: Zone, call: Call, anew: Callable[[], Intent]) -> bool:
    if permit.policy_set == zone.engine.policies.digest:
        return True
    try:
        _as_of_now(anew, zone, call)
    except (RefusedError, ProtocolError):
        return False
    return True
