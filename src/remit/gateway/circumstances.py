"""The circumstances of a request as the gateway sees them: the machine's clock, who is there, what flowed so far."""

import functools
import time
from collections.abc import Collection
from typing import Final

from remit.identity import Caller
from remit.policy import Circumstances, Engine, FlowFacts, Moment
from remit.policy.thing import RANKS
from remit.tasks import Task

_MINUTE: Final = 60


def circumstances_of(caller: Caller, engine: Engine, now: float) -> Circumstances:
    """At `now` (Unix seconds). Of whom nothing is known to be so, nothing is."""
    return Circumstances(
        moment=moment_at(now),
        presence=engine.snapshot.presence.get(caller.human, "unknown"),
        facts=engine.snapshot.facts,
        flow=flow_of(tasks_of(caller, engine)),
        chain=caller.chain,
    )


def tasks_of(caller: Caller, engine: Engine) -> tuple[Task, ...]:
    """Whose flow a call is part of: the task that came with it, and the one that its caller was launched for."""
    launched_for = caller.process.task if caller.process is not None else None
    if caller.task is None and launched_for is None:
        return ()
    named = (engine.task(one) for one in dict.fromkeys((caller.task, launched_for)))
    its_own = [task for task in named if task is not None and task.human == caller.human]
    return tuple(task for task in its_own if task.id == launched_for or task.held_by(caller.spiffe_id))


def flow_of(tasks: Collection[Task]) -> FlowFacts | None:
    """The mark of what a call is part of, None outside of any task."""
    if not tasks:
        return None
    return FlowFacts(max(RANKS[task.high.value] for task in tasks), any(task.untrusted for task in tasks))


def moment_at(now: float) -> Moment:
    return _moment(int(now) // _MINUTE)


@functools.lru_cache(maxsize=2)
def _moment(minute: int) -> Moment:
    """In the machine's own zone, which changes its offset on a whole minute if it does."""
    local = time.localtime(minute * _MINUTE)
    return Moment(local.tm_hour, local.tm_wday + 1)
