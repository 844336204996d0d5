"""What the log keeps of a decision's facts, so that it can be made again: ids, labels, classes; never contents. Pure.

What a record has anyway (who, action, model, found, task, grade) is not here once more.
"""

from collections.abc import Mapping
from typing import Any, Final

from remit.errors import RemitError
from remit.identity import SpiffeId
from remit.policy.circumstances import NONE, Arguments, Circumstances, FlowFacts, Moment
from remit.policy.intent import Intent
from remit.policy.question import TaskFact, fits, task_fact
from remit.tasks import Task

# What records from before this was kept don't tell.
NOT_KEPT: Final = frozenset({"exhaustive", "stream", "approved", "facts", "presence", "time"})
# What no record tells of a task.
NOT_KEPT_OF_TASKS: Final = frozenset({"actions", "tools", "fits", "ceiling", "profile"})

MAX_TOOLS: Final = 32  # names; of a task that lists more the record has none
MAX_DID: Final = 64  # names of what was done before; of a flow with more the record has none

Facts = Mapping[str, Any]


def kept(intent: Intent, task: Task | None = None) -> dict[str, Any]:
    """The facts of one decision, for its record. `task` is the one that the intent's caller came with."""
    facts: dict[str, Any] = {
        "exhaustive": intent.caller.exhaustive,
        "stream": intent.stream,
        "approved": intent.model_approved,
    }
    if intent.thing is not None:
        facts["thing"] = [intent.thing.kind.value, intent.thing.id]
    if task is not None and task.id == intent.caller.task:
        facts["task"] = _of_task(intent, task)
    so = intent.circumstances
    if so == NONE:
        return facts
    facts |= {"time": so.moment.to_json(), "presence": so.presence, "facts": list(so.facts), "zone": so.zone}
    if so.args is not None:
        facts["args"] = so.args.to_json()
    if so.flow is not None:
        facts["flow"] = so.flow.to_json()
        if len(so.flow.did) > MAX_DID:
            del facts["flow"]["did"]
    if so.destination is not None:
        facts["destination"] = so.destination
    if so.access is not None:
        facts["access"] = so.access.name
    return facts


def not_kept(facts: Facts) -> frozenset[str]:
    """The names in the schema of what a record with these facts doesn't tell, tasks aside."""
    if "access" in facts:  # names and properties are other people's: the log has the action's alone
        return frozenset({"access"})
    if "exhaustive" not in facts:
        return NOT_KEPT
    return frozenset({"did"}) if "did" not in facts.get("flow", {"did"}) else frozenset()


def task_kept(named: str, kept_of_it: Facts) -> tuple[TaskFact | None, frozenset[str]]:
    """What policies read of the task, None for a workload's own; and what of it was not kept."""
    if not kept_of_it["declared"]:
        return None, frozenset()
    fact = TaskFact(
        named,
        SpiffeId.parse(kept_of_it["on"]),
        tuple(kept_of_it["actions"]),
        tuple(kept_of_it.get("tools", ())),
        kept_of_it["fits"],
        kept_of_it["ceiling"],
        kept_of_it["profile"],
    )
    return fact, frozenset() if "tools" in kept_of_it else frozenset({"tools"})


def _of_task(intent: Intent, task: Task) -> dict[str, Any]:
    """`declared`: by a person; a workload's own task is none to policies."""
    if not task.of_a_person:
        return {"declared": False}
    fact = task_fact(task, fits(intent, task))
    row = {"actions": list(fact.actions), "fits": fact.fits, "ceiling": fact.ceiling, "profile": fact.profile}
    tools = {"tools": list(fact.tools)} if len(fact.tools) <= MAX_TOOLS else {}
    return {"declared": True, "on": str(fact.on), **row, **tools}


def circumstances(facts: Facts, chain: Any) -> Circumstances:
    """As they were; raises KeyError, TypeError, ValueError or RemitError for what `kept` doesn't write."""
    moment = facts.get("time")
    args, flow = facts.get("args"), facts.get("flow")
    return Circumstances(
        moment=Moment(**moment) if moment is not None else NONE.moment,
        presence=facts.get("presence", NONE.presence),
        facts=tuple(facts.get("facts", ())),
        zone=facts.get("zone", NONE.zone),
        args=None if args is None else Arguments(**{key: tuple(value) for key, value in args.items()}),
        flow=None if flow is None else FlowFacts(flow["high"], flow["untrusted"], tuple(flow.get("did", ()))),
        destination=facts.get("destination"),
        chain=tuple(SpiffeId.parse(one) for one in chain or ()),
    )


UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, RemitError)
