"""The budget of a call's task: what the call may need is taken before anything moves, and the rest is given back."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from remit.errors import StateError
from remit.gateway.asking import Questions
from remit.gateway.call import Call
from remit.gateway.consider import Ask, WithoutControlError
from remit.gateway.needs import Needs
from remit.gateway.outlay import BUDGET_SPENT, Outlay
from remit.gateway.zone import Zone
from remit.policy import RefusedError
from remit.policy.link import Reserve, Settle
from remit.tasks import Spent, Task
from remit.tasks.budget import NOTHING, UNLIMITED


async def afford(call: Call, ask: Ask, zone: Zone) -> Ask:
    """The request as it may be sent: an answer that costs tokens has a maximum. What was taken is `call.outlay`.

    A call without a task, or of one without limits, costs nothing here. Raises RefusedError where there is too
    little, and WithoutControlError while nobody can say what there is.
    """
    if call.task is None:
        return ask
    task = zone.engine.task(call.task)
    if task is None or task.budget == UNLIMITED:  # one that is over by now doesn't begin: `Zone.check_current`
        return ask
    return await Purse(zone.questions).take(call, ask, task)


class Purse:
    """One task's budget, as a worker's calls take from it."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def take(self, call: Call, ask: Ask, task: Task) -> Ask:
        """As `afford`, for a task with limits."""
        needs = Needs.of(ask, task.budget)
        try:
            answer = await self.asked(task.id, needs.wanted)
        except StateError as error:
            raise _nobody_says(error) from error
        given = Spent(**answer["amount"])
        if (kind := needs.short_of(given, answer["left"])) is not None:
            self._settle_any(task.id, given)
            raise _too_little(call, task, kind, needs.least, answer["left"])
        call.outlay = Outlay(
            self,
            task.id,
            task.budget,
            given,
            prompt=needs.prompt,
            size=len(ask.request.body),
            streams=ask.asked.stream,
            refusal=partial(_spent, call, task),
            cut=call.cut,
        )
        call.outlay.hides_usage = needs.hides_usage(task.budget)
        return needs.held_to(given, task.budget)

    async def reserve(self, task: str, wanted: Spent) -> Spent:
        """As much of it as there is; raises StateError where nobody can say."""
        return Spent(**(await self.asked(task, wanted))["amount"])

    def settle(self, task: str, used: Spent, back: Spent) -> None:
        """Tell control. Once that is gone, all of it counts as spent there."""
        self._questions.tell(Settle(task, used.to_dict(), back.to_dict()))

    async def asked(self, task: str, wanted: Spent) -> dict[str, Any]:
        """Control's answer. What comes when nobody waits for it any more goes back."""
        asking = asyncio.ensure_future(
            self._questions.ask(
                lambda number: Reserve(number, task, wanted.to_dict()), late=partial(self._give_back, task)
            )
        )
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(partial(self._unwanted, task))
            raise
        if "refused" in answer:
            raise StateError(str(answer["refused"]))
        return answer

    def _unwanted(self, task: str, asking: "asyncio.Future[dict[str, Any]]") -> None:
        if not asking.cancelled() and asking.exception() is None:
            self._give_back(task, asking.result())

    def _give_back(self, task: str, answer: Mapping[str, Any]) -> None:
        self._settle_any(task, Spent(**answer.get("amount", {})))

    def _settle_any(self, task: str, back: Spent) -> None:
        if back != NOTHING:
            self.settle(task, NOTHING, back)


def _nobody_says(error: StateError) -> WithoutControlError:
    return WithoutControlError(
        f"what is left of the task's budget can't be told: {error}",
        status=503,
        hint=error.hint or "ask whoever runs remit on this machine",
    )


def _too_little(call: Call, task: Task, kind: str, least: Spent, left: Mapping[str, int]) -> RefusedError:
    if not left[kind]:
        return _spent(call, task, kind)
    return _refused(
        call,
        task,
        kind,
        f"this may need {getattr(least, kind):,} {kind}, and of the budget of task {task.id} {left[kind]:,} are left",
    )


def _spent(call: Call, task: Task, kind: str) -> RefusedError:
    return _refused(call, task, kind, f"the budget of task {task.id} is spent: no {kind} are left")


def _refused(call: Call, task: Task, kind: str, why: str) -> RefusedError:
    return RefusedError(
        why,
        decision_id=call.id,
        rule=BUDGET_SPENT,
        missing=f"task {task.id} had more {kind} left",
        hint=f"ask {task.human}, whom the task is for",
    )
