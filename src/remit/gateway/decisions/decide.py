"""One decision for another enforcement point: made, recorded, and only then told. Both skins decide by it."""

from remit.errors import ProtocolError, RemitError, StateError
from remit.gateway.call import Call
from remit.gateway.decisions.verbatim import check_unmasked
from remit.gateway.record import started
from remit.gateway.refusals import record_of
from remit.gateway.zone import Zone
from remit.policy import Intent, Permit, RefusedError


async def decide(intent: Intent, zone: Zone, call: Call) -> Permit:
    """The permit, once it is on record; raises RefusedError or ProtocolError (on record as well), and AuditError.

    1. may it: ApprovalNeededError where somebody must agree first
    2. as it is: nothing here can mask what the point passes on, so VerbatimError where something would have to be
    3. written down, durably, before it is told; the point enforces it by itself, so for the log the call ends here
    4. nothing that it was permitted by has ended meanwhile

    Left to the caller: to know who asks and for whom, and to find what is in the text.
    """
    call.by(intent.caller)
    call.asks(intent)
    try:
        # 1
        permit = call.may(zone.engine.decide(intent, call.now, call.id))
        # 2
        check_unmasked(intent, permit)
    except (RefusedError, ProtocolError) as error:
        await refuse(error, zone, call)
        raise
    # 3
    await zone.audit.record(started(call, intent, permit, zone), permit.intent_digest)
    zone.audit.note(call.end("done"))
    zone.not_enforced.count(call.intent, permit)
    # 4
    still(permit, zone, call)
    return permit


async def refuse(error: RemitError, zone: Zone, call: Call) -> None:
    """Write down that it was refused; raises AuditError when it can't be."""
    await zone.audit.record(record_of(call, zone, error), b"")


def still(permit: Permit, zone: Zone, call: Call) -> None:
    """Raises StateError when what it was permitted by ended while it was being written down."""
    now = zone.clock()
    task = next((one for one in zone.snapshot.tasks if one.id == call.task), None) if call.task else None
    over = call.task is not None and (task is None or not task.live(now))
    if over or now >= permit.expires or zone.engine.idle(call.resource, call.caller) is not None:
        raise StateError("what this was permitted by has just ended", hint="ask again")
