"""One governed call, from top to bottom: Peer → Caller → Intent → Permit → Receipt → Clean → Lease → Reply.

Each step takes a value that only the step before it can make, so leaving one out is a type error.
"""

from remit.gateway.call import Call
from remit.gateway.consider import consider, owner_s_cache_only, read
from remit.gateway.identify import Peer, identify
from remit.gateway.marking import raise_for_answer, with_what_came_in
from remit.gateway.message import Request
from remit.gateway.model_in_force import check_model
from remit.gateway.permitted import permitted
from remit.gateway.purse import afford
from remit.gateway.record import started
from remit.gateway.reply import read_back
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.zone import Zone
from remit.redaction import clean


async def exchange(request: Request, peer: Peer, zone: Zone, call: Call, reply: ReplyWriter) -> None:
    """Govern one request; writes the head of the `reply`, then its pieces as they come.

    1. who is calling: the kernel's word or an SVID, never the caller's; raises AttestationError
    2. what is asked: the route, the dialect, JSON that can be read in one way only; raises ProtocolError
    3. the intent, with what the detector finds in it; before more than a person's least remit every holder is known;
       what came in with it raises its task's mark
    4. is the model still the one its server is bound to; may it, once people agreed where that is needed; what is
       to be masked; has its task the budget for it: raises RefusedError. The answer's label raises the mark too
    5. written down, durably, before anything moves: raises AuditError; and still so once it is written
    6. cleaned as the permit planned, and serialised anew: what was decided on is what is sent
    7. a key for this call only, given back however the call ends
    8. sent; every chunk of the answer is read and cleaned on its way back

    Left to `answering`: turning a refusal or failure into a reply, and recording how the call ended.
    """
    # 1
    caller = call.by(await identify(peer, request, zone))
    # 2
    ask = read(request, caller, peer, zone)
    # 3
    intent = call.asks(await consider(caller, ask, peer, zone, call.now))
    intent = call.asks(await with_what_came_in(intent, ask, zone))
    # 4
    check_model(intent, ask.workload, call.id)
    intent, permit = await permitted(intent, ask, peer, zone, call)
    call.may(permit)
    owner_s_cache_only(ask, intent.caller)
    ask = await afford(call, ask, zone)
    await raise_for_answer(intent, ask, zone)
    # 5
    call.recorded = True  # before the wait: whoever hangs up meanwhile leaves a start that needs its end
    receipt = await zone.audit.record(started(call, intent, permit, zone), permit.intent_digest)
    zone.check_current(permit, call)
    # 6
    cleaned = clean(ask.forward, ask.scan, permit, receipt, zone.scrubber)
    call.request_masked = cleaned.masked
    # 7
    with zone.broker.lease(ask.workload.credential, cleaned) as lease:
        # 8
        call.sends()
        async with zone.upstream.send(*ask.outgoing(cleaned, lease), timeouts=zone.timeouts) as answer:
            await read_back(answer, ask, permit, call, zone, reply)
