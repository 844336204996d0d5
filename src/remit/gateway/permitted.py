"""The permit of a call; where it takes somebody's agreement the call waits, and is decided anew as it is by then."""

import re
from dataclasses import replace
from typing import Final

from remit.gateway.call import Call
from remit.gateway.circumstances import circumstances_of
from remit.gateway.consider import Ask
from remit.gateway.cut_short import ended, not_guarded
from remit.gateway.identify import Peer, every_holder, identify
from remit.gateway.message import Request
from remit.gateway.model_in_force import check_model, digest_of, model_named
from remit.gateway.people import agreed
from remit.gateway.zone import Zone
from remit.policy import ApprovalNeededError, Intent, Permit

_WAIT: Final = re.compile(r"(?:\A|[,;\s])wait=(\d{1,6})(?:\Z|[,;\s])", re.IGNORECASE)  # RFC 7240, section 4.3


async def permitted(intent: Intent, ask: Ask, peer: Peer, zone: Zone, call: Call) -> tuple[Intent, Permit]:
    """What is asked, and the permit for it; raises RefusedError.

    Where it takes an approval:
    1. people are asked, and the call waits for them
    2. who calls is known again, and the server and its model are those that were asked
    3. it is decided as of now, with the approval: of exactly what was asked, under exactly those policies
    """
    try:
        return intent, zone.engine.decide(intent, call.now, call.id)
    except ApprovalNeededError as error:
        needed = error
    # 1
    call.approval = await agreed(intent, ask.forward, needed, zone, wait_of(ask.request))
    # 2
    now = zone.clock()
    caller = await identify(peer, ask.request, zone)
    caller = await every_holder(peer, caller, zone) if intent.caller.exhaustive else caller
    _check_same_server(intent, ask, zone, call)
    # 3
    so = circumstances_of(caller, zone.engine, now)
    intent = call.asks(replace(intent, caller=caller, circumstances=so))
    return intent, zone.engine.decide(intent, now, call.id, call.approval)


def wait_of(request: Request) -> float | None:
    """For how many seconds the caller would wait (`prefer: wait=N`); None where it doesn't say."""
    said = _WAIT.search(request.header("prefer") or "")
    return float(said.group(1)) if said is not None else None


def _check_same_server(intent: Intent, ask: Ask, zone: Zone, call: Call) -> None:
    """Raises RefusedError unless it is the one that was asked, with the very model that was approved."""
    was, now = ask.workload, zone.workload(intent.resource)
    if now is None:
        raise not_guarded()
    if (was.upstream, was.pid, was.exe_sha256) != (now.upstream, now.pid, now.exe_sha256):
        raise ended(call.id, "the server is not the one that was asked")
    check_model(intent, now, call.id)
    if digest_of(model_named(now, intent.model)) != intent.model_digest:
        raise ended(call.id, "the model is not the one that was approved")
