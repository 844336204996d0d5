"""The mark of a call's task: raised before what raises it goes anywhere, and kept by control by then.

What came in with the request raises it before anything is decided: labels that the detector found, and what tools or
documents said. The answer may hold what its server is meant for: that label raises it before anything is forwarded.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from remit.detect import Label
from remit.errors import StateError
from remit.flow import Mark
from remit.gateway.asking import Questions
from remit.gateway.came_in import brings
from remit.gateway.circumstances import flow_of, tasks_of
from remit.gateway.consider import Ask, WithoutControlError
from remit.gateway.zone import Zone
from remit.policy import Action, Intent, RefusedError
from remit.policy.link import Raise
from remit.policy.refusal import OUTSIDE_TASK
from remit.policy.thing import RANKS
from remit.tasks import Task

TELLS_LITTLE: Final = frozenset({Action.LIST, Action.HEALTH})  # which models there are, and whether it is well


async def with_what_came_in(intent: Intent, ask: Ask, zone: Zone) -> Intent:
    """The intent, to be decided with all that its request brought into its task.

    Raises WithoutControlError, and RefusedError where what comes back would be above its task's ceiling.
    """
    tasks = tasks_of(intent.caller, zone.engine)
    if not tasks:
        return intent
    mark = Mark()
    for _, label in intent.found:
        mark = mark.raised(label)
    if not all(task.untrusted for task in tasks) and brings(ask.forward):
        mark = mark.raised(Label.UNTRUSTED)
    risen = await _raise(tasks, mark, zone)
    _check_ceilings(tasks, intent, ask)
    if not risen:
        return intent
    so = replace(intent.circumstances, flow=flow_of(tasks_of(intent.caller, zone.engine)))
    return replace(intent, circumstances=so)


async def raise_for_answer(intent: Intent, ask: Ask, zone: Zone) -> None:
    """Before anything is forwarded: what comes back may be as sensitive as its server is meant for."""
    if intent.action not in TELLS_LITTLE:
        await _raise(tasks_of(intent.caller, zone.engine), Mark().raised(ask.workload.label), zone)


async def kept(questions: Questions, task: Task, mark: Mark) -> bool:
    """Have control keep it of the task and its whole family; whether that was anything new. Raises StateError."""
    before = Mark(task.high, task.untrusted)
    after = before.raised(mark)
    if after == before:
        return False
    answer = await questions.ask(lambda number: Raise(number, task.id, after.high.value, after.untrusted))
    if "refused" in answer:
        raise StateError(str(answer["refused"]))
    return True


def _check_ceilings(tasks: Iterable[Task], intent: Intent, ask: Ask) -> None:
    server, label = ask.workload.name, ask.workload.label.value
    for task in tasks if intent.action not in TELLS_LITTLE else ():
        if RANKS[label] > RANKS[task.ceiling.value]:
            raise RefusedError(
                f"{server} may answer with {label} data; task {task.id} takes up to {task.ceiling.value}",
                decision_id="",
                rule=OUTSIDE_TASK,
                missing=f"task {task.id} were for {label} data",
                hint=f"ask {task.human}, whom the task is for",
            )


async def _raise(tasks: Iterable[Task], mark: Mark, zone: Zone) -> bool:
    try:
        return any([await kept(zone.questions, task, mark) for task in tasks])
    except StateError as error:
        raise WithoutControlError(
            f"what came into the task can't be kept: {error}",
            status=503,
            hint=error.hint or "ask whoever runs remit on this machine",
        ) from error
