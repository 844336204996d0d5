"""Budgets over real links: two workers whose calls run at once, one control, and nothing is spent twice."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remit.config import GatewaySettings, Places
from remit.control.gateway_link import GatewayLink
from remit.control.own_log import OwnLog
from remit.control.workers import Worker
from remit.errors import RemitError, StateError
from remit.gateway.asking import Late, Questions
from remit.gateway.call import Call
from remit.gateway.consider import Ask, WithoutControlError
from remit.gateway.dialects import DIALECTS, Asked
from remit.gateway.message import Request
from remit.gateway.purse import Purse, afford
from remit.gateway.routes import match, profile
from remit.policy import RefusedError
from remit.policy.link import Answer, Asking, FromWorker, Settle
from remit.redaction.scrubber import NOTHING as NOTHING_FOUND
from remit.sandbox.channel import Channel
from remit.tasks import Budget, Spent, Task
from remit.tasks.budget import NOTHING
from tests.control.test_realm import LLAMA
from tests.control.test_spending import Process, Spenders
from tests.policy.worlds import curl

CHAT = "/v1/chat/completions"


def an_ask(body: dict[str, Any] | None = None, size: int = 40) -> Ask:
    """A chat whose request has so many bytes."""
    route = match(profile("openai"), "POST", CHAT)
    workload: Any = SimpleNamespace(name="llama", upstream="", credential=None)
    request = Request("POST", CHAT, "", CHAT, CHAT, (), b"x" * size, keep_alive=True, version="1.1")
    return Ask(
        request, workload, route, DIALECTS["openai"], Asked(None, False), body or {}, True, NOTHING_FOUND, CHAT, ()
    )


class Linked:
    """One worker's end of a link, and control's. `alive` is a process that stands for the worker's."""

    def __init__(self, control: "Control", pid: int) -> None:
        ours, theirs = socket.socketpair()
        self._near, self._far = Channel(ours), Channel(theirs)
        self.process = Process()
        child: Any = SimpleNamespace(pid=pid, process=self.process, channel=self._far)
        self.worker = Worker("inference", child)
        self.questions = Questions(self._near.send)
        self.ran = self.refused = 0
        self._control = control
        self._hearing = [asyncio.create_task(self._hear()), asyncio.create_task(self._serve())]

    async def _hear(self) -> None:
        while (message := await self._near.receive()) is not None:
            assert isinstance(message, Answer)
            self.questions.answered(message)

    async def _serve(self) -> None:
        while (message := await self._far.receive()) is not None:
            await self._control.link.heard(self.worker, message)

    async def call(self, task: Task, *, used: int = 10, lasts: int = 3, **asked: Any) -> None:
        """One call: takes, is under way for some turns of the loop, and has used so many tokens."""
        call = Call.begin(LLAMA, 0.0, 0.0, lambda _: None)
        try:
            sent = await Purse(self.questions).take(call, an_ask(asked), task)
        except RefusedError as error:
            self.refused += error.rule == "remit:budget-spent"
            return
        assert call.outlay is not None
        assert sent.forward.get("max_tokens", 1) >= 1
        self.ran += 1
        call.sends()
        for _ in range(lasts):
            await asyncio.sleep(0)
        call.outlay.tells({"usage": {"prompt_tokens": used // 2, "completion_tokens": used - used // 2}})
        await call.outlay.done()
        call.outlay.end()

    async def die(self) -> None:
        """As if it was killed: what it said last may be heard late."""
        self.process.status = -9
        await self._control.link.died(self.worker, -9)

    def close(self) -> None:
        for one in self._hearing:
            one.cancel()
        self._near.close()
        self._far.close()


class Control:
    """Control's side, over a real database."""

    def __init__(self, directory: Path) -> None:
        self.world = Spenders(directory)
        self.log = OwnLog.open(Places.of(directory, {}), "maple.local")
        self.linked: list[Linked] = []
        self.begin()

    def begin(self) -> None:
        places = Places.of(self.log_directory, {})
        self.link = GatewayLink(places, GatewaySettings(), "maple.local", self.log, {}, lambda _: None)
        self.world.spending.answer(self.link)
        self.linked += [Linked(self, pid) for pid in (1, 2)]

    @property
    def log_directory(self) -> Path:
        return self.world.store._path.parent

    async def settled(self) -> None:
        """All that the workers said is heard."""
        for _ in range(50):
            await asyncio.sleep(0)

    def killed(self) -> None:
        """Its memory is gone; the disk is as it is. Workers of before end with it."""
        for one in self.linked:
            one.close()
        self.linked.clear()
        self.world.restart()
        self.begin()

    def close(self) -> None:
        for one in self.linked:
            one.close()
        self.log.close()
        self.world.store.close()


@contextlib.asynccontextmanager
async def control_of(directory: Path) -> AsyncIterator[Control]:
    control = Control(directory)
    try:
        yield control
    finally:
        control.close()


def both(control: Control, task: Task, calls: int, **more: Any) -> list[Any]:
    return [one.call(task, **more) for _ in range(calls // 2) for one in control.linked]


def test_100_calls_at_once_over_two_workers_spend_what_there_is_and_no_more(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(calls=70))
            await asyncio.gather(*both(control, task, 100))
            await control.settled()
            one, two = control.linked
            assert (one.ran + two.ran, one.refused + two.refused) == (70, 30)
            assert min(one.ran, two.ran) > 0
            assert control.world.left() == {"calls": 0}

    asyncio.run(go())


def test_tokens_that_100_calls_race_for_are_never_overspent(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(tokens=2_000))
            await asyncio.gather(*both(control, task, 100, used=60, max_tokens=20))
            await control.settled()
            ran = sum(one.ran for one in control.linked)
            left = control.world.left()["tokens"]
            assert 60 * ran + left == 2_000
            assert left < 60  # none was refused while there was room for it

    asyncio.run(go())


def test_what_a_killed_worker_held_stays_spent(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(calls=50))
            one, two = control.linked
            calls = [asyncio.create_task(one.call(task, lasts=10_000)) for _ in range(20)]
            await control.settled()
            assert one.ran == 20
            await one.die()
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await asyncio.gather(*(two.call(task) for _ in range(60)))
            await control.settled()
            assert (two.ran, two.refused) == (30, 30)
            assert control.world.left() == {"calls": 0}
            await two.call(task)
            await asyncio.gather(*control.world.spending._ending.values())
            assert control.world.ended() == "its budget is spent: calls"  # nothing of it is under way any more

    asyncio.run(go())


def test_a_control_that_was_killed_and_comes_back_gives_nothing_twice(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(calls=100))
            before = [asyncio.create_task(call) for call in both(control, task, 60, lasts=10_000)]
            await control.settled()
            ran = sum(one.ran for one in control.linked)
            assert ran == 60
            for call in before:
                call.cancel()
            await asyncio.gather(*before, return_exceptions=True)
            control.killed()
            await asyncio.gather(*both(control, task, 100))
            again = sum(one.ran for one in control.linked)
            assert 30 <= again <= 40  # less what was put on disk ahead

    asyncio.run(go())


def test_parts_spend_from_what_they_were_cut_from(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            root = control.world.begin(Budget(calls=30))
            parts = [control.world.begin(Budget(calls=20), f"t-{number}", root.id) for number in (2, 3, 4)]
            await asyncio.gather(*(call for part in parts for call in both(control, part, 40)))
            await control.settled()
            assert sum(one.ran for one in control.linked) == 30
            assert control.world.left() == {"calls": 0}

    asyncio.run(go())


def test_who_hangs_up_while_control_is_asked_holds_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(calls=10, tokens=100_000))
            for turns in range(12):  # wherever it stands: not asked yet, asked, answered
                call = asyncio.create_task(control.linked[0].call(task, lasts=10_000))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if control.linked[0].ran:
                    break
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await control.settled()
            assert turns > 2
            assert control.world.left()["calls"] >= 9  # the last one ran

    asyncio.run(go())


def test_without_control_nothing_of_a_budget_begins_and_what_has_none_goes_on(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            limited = control.world.begin(Budget(calls=10))
            free = control.world.begin(Budget(), "t-2")
            one = control.linked[0]
            one.questions.control_gone()
            known = {one.id: one for one in (limited, free)}
            zone: Any = SimpleNamespace(questions=one.questions, engine=SimpleNamespace(task=known.get))
            ask = an_ask()
            for task in (None, "t-2", "t-gone"):
                call = Call.begin(LLAMA, 0.0, 0.0, lambda _: None)
                call.by(curl(task=task))
                assert await afford(call, ask, zone) is ask
                assert call.outlay is None
            call = Call.begin(LLAMA, 0.0, 0.0, lambda _: None)
            call.by(curl(task="t-1"))
            with pytest.raises(WithoutControlError, match="control process is gone") as refused:
                await afford(call, ask, zone)
            assert (refused.value.rule, refused.value.status) == ("control-gone", 503)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("budget", "size", "says"),
    [
        (Budget(calls=0), 40, "no calls are left"),
        (Budget(calls=5, tokens=0), 40, "no tokens are left"),
        (Budget(calls=5, tokens=30), 40, "may need 41 tokens, and of the budget of task t-1 30 are left"),
        (Budget(calls=5, bytes=30), 40, "may need 41 bytes"),
        (Budget(calls=5, seconds=0), 40, "no seconds are left"),
    ],
)
def test_who_is_refused_is_told_what_is_missing_and_no_way_to_more(
    tmp_path: Path, budget: Budget, size: int, says: str
) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(budget)
            call = Call.begin(LLAMA, 0.0, 0.0, lambda _: None)
            with pytest.raises(RefusedError) as refused:
                await Purse(control.linked[0].questions).take(call, an_ask(size=size), task)
            error = refused.value
            assert says in str(error)
            assert (error.rule, error.decision_id, error.hint) == (
                "remit:budget-spent",
                call.id,
                "ask ada, whom the task is for",
            )
            assert "remit " not in str(error) + error.hint
            await control.settled()
            assert control.world.spending.left(task) == budget.to_dict()

    asyncio.run(go())


def test_an_answer_s_maximum_is_what_the_budget_has_room_for(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(tokens=100))
            for asked, most in ({}, 60), ({"max_tokens": 7}, 7), ({"max_tokens": 700}, 60), ({"n": 2}, 30):
                call = Call.begin(LLAMA, 0.0, 0.0, lambda _: None)
                sent = await Purse(control.linked[0].questions).take(call, an_ask(asked), task)
                assert sent.forward["max_tokens"] == most
                assert call.outlay is not None
                call.outlay.end()
                await control.settled()

    asyncio.run(go())


def test_a_worker_that_settles_more_than_it_holds_is_none_of_ours(tmp_path: Path) -> None:
    async def go() -> None:
        async with control_of(tmp_path) as control:
            task = control.world.begin(Budget(calls=5))
            one, two = control.linked
            await one.call(task)
            Purse(two.questions).settle(task.id, Spent(), Spent(calls=1))
            await control.settled()
            with pytest.raises(RemitError, match="more"):
                await two._hearing[1]
            assert control.world.left() == {"calls": 4}

    asyncio.run(go())


class Hasty(Questions):
    """Waits for nobody."""

    async def ask(
        self, made: Callable[[int], Asking], seconds: float = 0.0, late: Late | None = None
    ) -> dict[str, Any]:
        return await super().ask(made, min(seconds, 0.01), late)


def test_what_control_gives_too_late_goes_back_to_it() -> None:
    async def too_late() -> list[FromWorker]:
        told: list[FromWorker] = []
        questions = Hasty(told.append)
        with pytest.raises(StateError, match="did not answer within"):
            await Purse(questions).asked("t-1", Spent(calls=1))
        questions.answered(Answer(1, {"amount": {"calls": 1}, "left": {}}))
        return told

    *_, last = asyncio.run(too_late())
    assert last == Settle("t-1", NOTHING.to_dict(), Spent(calls=1).to_dict())
