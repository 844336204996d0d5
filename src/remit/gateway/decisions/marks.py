"""The mark of a task that is asked about: raised by what comes along, and by the source that may be read."""

from typing import Final

from remit.detect import Label
from remit.errors import StateError
from remit.flow import Mark
from remit.gateway.circumstances import tasks_of
from remit.gateway.consider import WithoutControlError
from remit.gateway.decisions.asked import Asked
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.marking import kept
from remit.policy import Action
from remit.policy.thing import ThingKind

READS: Final = frozenset({Action.RETRIEVE, Action.READ_RESOURCE, Action.GET_PROMPT})


async def raised_by_question(asked: Asked, decisions: Decisions) -> bool:
    """Before it is decided: what was found in it is in the task. Whether that was anything new."""
    mark = Mark()
    for _, label in asked.intent.found:
        mark = mark.raised(label)
    return await _raise(asked, mark, decisions)


async def raise_for_source(asked: Asked, decisions: Decisions) -> None:
    """Before it is told that a source may be read: what it holds will be in the task. What no catalogue lists holds
    anything, and comes from outside."""
    source = asked.intent.thing
    if source is None or source.kind is not ThingKind.SOURCE or asked.intent.action not in READS:
        return
    mark = Mark().raised(Label(source.label))
    trusted = bool(source.attributes.get("trusted"))
    await _raise(asked, mark if trusted else mark.raised(Label.UNTRUSTED), decisions)


async def _raise(asked: Asked, mark: Mark, decisions: Decisions) -> bool:
    tasks = {task.id: task for task in tasks_of(asked.intent.caller, decisions.zone.engine)}
    if asked.task is not None:
        tasks[asked.task.id] = asked.task
    try:
        return any([await kept(decisions.zone.questions, task, mark) for task in tasks.values()])
    except StateError as error:
        raise WithoutControlError(f"what came into the task can't be kept: {error}", status=503) from error
