"""The circumstances of a request as the gateway sees them: the machine's clock, who is there, what flowed so far."""

import functools
import time
from typing import Final

from remit.identity import Caller
from remit.policy import Circumstances, FlowFacts, Moment, Snapshot
from remit.policy.thing import RANKS

_MINUTE: Final = 60


def circumstances_of(caller: Caller, snapshot: Snapshot, now: float) -> Circumstances:
    """At `now` (Unix seconds). Of whom nothing is known to be so, nothing is."""
    task = next((task for task in snapshot.tasks if task.id == caller.task), None) if caller.task else None
    return Circumstances(
        moment=moment_at(now),
        presence=snapshot.presence.get(caller.human, "unknown"),
        facts=snapshot.facts,
        flow=None if task is None else FlowFacts(RANKS[task.high.value], task.untrusted),
        chain=caller.chain,
    )


def moment_at(now: float) -> Moment:
    return _moment(int(now) // _MINUTE)


@functools.lru_cache(maxsize=2)
def _moment(minute: int) -> Moment:
    """In the machine's own zone, which changes its offset on a whole minute if it does."""
    local = time.localtime(minute * _MINUTE)
    return Moment(local.tm_hour, local.tm_wday + 1)
