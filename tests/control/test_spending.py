"""Budgets as control keeps them: on disk before they are given, never twice, and the task ends with them."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remit.control.spending import GRACE_SECONDS, Spending
from remit.errors import ProtocolError, StateError
from remit.identity import SpiffeId
from remit.policy.link import Reserve, Settle
from remit.storage import Store
from remit.tasks import Budget, Spent, Task
from remit.tasks.budget import NOTHING
from tests.control.test_realm import LLAMA, World

BUDGET = Budget(calls=10, tokens=1_000)


class Process:
    """As much of a worker's process as says whether it lives."""

    status: int | None = None

    def poll(self) -> int | None:
        return self.status


def a_worker(pid: int) -> Any:
    return SimpleNamespace(zone="inference", child=SimpleNamespace(pid=pid, process=Process()))


class Spenders(World):
    """A realm with a task, and two workers."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.one, self.two = a_worker(1), a_worker(2)

    @property
    def spending(self) -> Spending:
        return self.realm.spending

    def begin(self, budget: Budget = BUDGET, named: str = "t-1", parent: str | None = None) -> Task:
        task = Task(
            named,
            "ada",
            SpiffeId.parse(str(LLAMA)),
            ("infer",),
            "",
            self.now,
            self.now + 600,
            "00" * 32,
            "terminal",
            budget=budget,
            parent=parent,
        )
        self.realm.keep_task(task)
        return task

    async def reserve(self, worker: Any = None, task: str = "t-1", **wanted: int) -> Spent:
        answer = await self.spending.reserve(worker or self.one, Reserve(1, task, Spent(**wanted).to_dict()))
        return Spent(**answer["amount"])

    async def settle(self, used: Spent, back: Spent = NOTHING, worker: Any = None, task: str = "t-1") -> None:
        await self.spending.settle(worker or self.one, Settle(task, used.to_dict(), back.to_dict()))
        await asyncio.gather(*self.spending._ending.values())

    def on_disk(self, task: str = "t-1") -> Spent:
        other = Store(self.store._path)
        try:
            return next(one.spent for one in other.tasks() if one.id == task)
        finally:
            other.close()

    def left(self, task: str = "t-1") -> dict[str, int]:
        return self.spending.left(self.realm.tasks[task])

    def ended(self, task: str = "t-1") -> str | None:
        """Why it ended, by the log."""
        return next((facts["why"] for what, one, _, facts in self.acts if (what, one) == ("task.ended", task)), None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Spenders]:
    world = Spenders(tmp_path)
    yield world
    world.store.close()


def test_what_is_given_is_on_disk_as_spent_before_that(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        for number in range(1, 11):
            assert await world.reserve(calls=1, tokens=50) == Spent(calls=1, tokens=50)
            assert Spent(calls=number, tokens=50 * number).within(world.on_disk())
            assert world.on_disk().within(BUDGET.most)
        assert await world.reserve(calls=1, tokens=50) == Spent()

    asyncio.run(go())


def test_as_much_as_there_is_and_nothing_of_all_where_there_is_nothing_of_one(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        assert await world.reserve(calls=1, tokens=900) == Spent(calls=1, tokens=900)
        assert await world.reserve(world.two, calls=1, tokens=900) == Spent(calls=1, tokens=100)
        assert await world.reserve(calls=1, tokens=1) == Spent()
        assert world.left() == {"calls": 8, "tokens": 0}

    asyncio.run(go())


def test_control_that_was_killed_gives_nothing_twice(world: Spenders) -> None:
    world.begin()

    async def before() -> None:
        await world.reserve(calls=6, tokens=10)
        await world.settle(Spent(calls=2, tokens=10), Spent(calls=1))  # three more are under way

    async def after() -> None:
        assert (await world.reserve(calls=10)).calls <= 5

    world.run(before)
    world.restart()
    assert world.left()["calls"] <= 5
    world.run(after)


def test_a_second_later_what_is_on_disk_is_exact(world: Spenders) -> None:
    world.begin(Budget(calls=1_000))

    async def go() -> None:
        await world.reserve(calls=3)
        await world.settle(Spent(calls=1), Spent(calls=2))
        assert world.on_disk().calls > 1
        await world.spending.look()

    world.run(go)
    assert world.on_disk() == Spent(calls=1)
    world.restart()
    assert world.left() == {"calls": 999}


def test_what_a_dead_worker_held_is_spent_and_nothing_it_said_is_taken_any_more(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        await world.reserve(calls=4)
        await world.reserve(world.two, calls=1)
        world.one.child.process.status = -9
        world.spending.lost(world.one)
        await world.settle(Spent(), Spent(calls=4))
        assert await world.reserve(calls=1) == Spent()
        assert world.left()["calls"] == 5
        assert (await world.reserve(world.two, calls=10)).calls == 5

    world.run(go)


def test_a_part_spends_from_what_it_was_cut_from(world: Spenders) -> None:
    world.begin(Budget(calls=5))
    world.begin(Budget(calls=4), "t-2", "t-1")
    world.begin(Budget(calls=4), "t-3", "t-1")

    async def go() -> None:
        assert (await world.reserve(task="t-2", calls=3)).calls == 3
        assert (await world.reserve(world.two, task="t-3", calls=4)).calls == 2
        assert (await world.reserve(calls=1)).calls == 0
        assert [world.left(one) for one in ("t-1", "t-2", "t-3")] == [{"calls": 0}] * 3

    world.run(go)
    world.restart()
    assert [world.left(one) for one in ("t-1", "t-2", "t-3")] == [{"calls": 0}] * 3


def test_a_disk_that_takes_nothing_gives_nothing(world: Spenders, monkeypatch: pytest.MonkeyPatch) -> None:
    world.begin()

    def full(task: Task) -> None:
        raise StateError("the disk is full")

    async def go() -> None:
        monkeypatch.setattr(world.store, "save_task", full)
        with pytest.raises(StateError, match="full"):
            await world.reserve(calls=1)
        await world.spending.look()
        monkeypatch.undo()
        assert (await world.reserve(calls=10)).calls == 10

    world.run(go)


def test_who_stops_waiting_holds_nothing(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        async with world.realm.one_act:
            waiting = asyncio.create_task(world.reserve(calls=4))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert world.left() == {"calls": 10, "tokens": 1_000}

    world.run(go)


def test_an_act_under_way_on_the_task_undoes_nothing_that_was_spent(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        async with world.realm.one_act:  # somebody looks at the task, waits for the log, and keeps it longer
            seen = world.realm.tasks["t-1"]
            spending = asyncio.create_task(world.reserve(calls=4))
            await asyncio.sleep(0)
            world.realm.keep_task(dataclasses.replace(seen, expires=seen.expires + 60))
        assert await spending == Spent(calls=4)

    world.run(go)
    assert world.on_disk().calls >= 4
    assert world.realm.tasks["t-1"].expires == 1660.0


@pytest.mark.parametrize(
    "wanted", [{"calls": -1}, {"calls": "1"}, {"calls": 1.5}, {"wishes": 1}, {"calls": True}, {"calls": 1 << 63}]
)
def test_what_is_no_amount_is_refused(world: Spenders, wanted: dict[str, Any]) -> None:
    world.begin()

    async def go() -> None:
        with pytest.raises(ProtocolError, match="no amount"):
            await world.spending.reserve(world.one, Reserve(1, "t-1", wanted))
        with pytest.raises(ProtocolError, match="no amount"):
            await world.spending.settle(world.one, Settle("t-1", wanted, {}))

    world.run(go)


def test_more_than_was_held_is_not_settled(world: Spenders) -> None:
    world.begin()

    async def go() -> None:
        await world.reserve(calls=1)
        with pytest.raises(ProtocolError, match="more"):
            await world.settle(Spent(), Spent(calls=2))
        with pytest.raises(ProtocolError, match="more"):
            await world.settle(Spent(calls=1), worker=world.two)

    world.run(go)


def test_a_task_that_is_extended_before_it_ends_goes_on(world: Spenders) -> None:
    task = world.begin(Budget(calls=1))

    async def go() -> None:
        await world.reserve(calls=1)
        await world.settle(Spent(calls=1))
        assert await world.reserve(calls=1) == Spent()
        world.realm.keep_task(dataclasses.replace(world.realm.tasks[task.id], budget=Budget(calls=3)))
        assert await world.reserve(calls=1) == Spent(calls=1)
        await asyncio.gather(*world.spending._ending.values())
        assert (world.ended(), world.left()) == (None, {"calls": 1})

    world.run(go)


async def _three_calls(world: Spenders) -> None:
    await world.reserve(calls=2)
    await world.reserve(world.two, calls=1)


@pytest.mark.parametrize("asked_again", [True, False])
def test_a_task_without_calls_ends_once_none_is_under_way(world: Spenders, asked_again: bool) -> None:
    world.begin(Budget(calls=3))

    async def refused_or_waiting() -> None:
        if asked_again:
            assert await world.reserve(calls=1) == Spent()
        else:
            for _ in range(int(GRACE_SECONDS) + 1):
                await world.spending.look()
        await asyncio.gather(*world.spending._ending.values())

    async def go() -> None:
        await _three_calls(world)
        await refused_or_waiting()
        await world.settle(Spent(calls=2))
        await refused_or_waiting()
        assert world.ended() is None  # one is under way
        await world.settle(Spent(calls=1), worker=world.two)
        assert world.ended() is None  # whoever asks now is told why
        await refused_or_waiting()
        assert world.ended() == "its budget is spent: calls"
        with pytest.raises(StateError, match="ended"):
            await world.reserve(calls=1)

    world.run(go)


@pytest.mark.parametrize("kind", ["tokens", "bytes", "seconds"])
def test_a_task_whose_calls_used_it_up_while_they_ran_ends_at_once(world: Spenders, kind: str) -> None:
    world.begin(Budget(**{"calls": 9, kind: 5}))
    world.begin(Budget(**{"calls": 9, kind: 5}), "t-2", "t-1")

    async def go() -> None:
        await world.reserve(task="t-2", **{"calls": 1, kind: 5})
        await world.settle(Spent(**{"calls": 1, kind: 4}), Spent(**{kind: 1}), task="t-2")
        assert world.ended() is None
        await world.reserve(task="t-2", **{kind: 1})
        await world.settle(Spent(**{kind: 1}), task="t-2")
        assert world.ended() == f"its budget is spent: {kind}"
        assert world.ended("t-2") is not None

    world.run(go)


def test_a_part_that_is_spent_leaves_the_rest(world: Spenders) -> None:
    world.begin()
    world.begin(Budget(calls=1, tokens=50), "t-2", "t-1")

    async def go() -> None:
        await world.reserve(task="t-2", calls=1, tokens=50)
        await world.settle(Spent(calls=1, tokens=50), task="t-2")
        assert world.ended("t-2") == "its budget is spent: calls, tokens"
        assert (world.ended(), world.left()) == (None, {"calls": 9, "tokens": 950})

    world.run(go)


def test_what_is_settled_after_its_end_is_taken_and_then_forgotten(world: Spenders) -> None:
    world.begin()
    world.begin(Budget(calls=4, tokens=10), "t-2", "t-1")

    async def go() -> None:
        await world.reserve(task="t-2", calls=4)
        await world.realm.tasking.end("t-2", "enough")
        await world.spending.look()
        await world.settle(Spent(calls=1), Spent(calls=3), task="t-2")
        assert world.left()["calls"] == 9
        await world.spending.look()
        assert set(world.spending._kept) == {"t-1"}
        await world.settle(Spent(calls=1), task="t-2")  # nobody's any more

    world.run(go)


def test_a_task_without_limits_has_nothing_to_tell(world: Spenders) -> None:
    task = world.begin(Budget())
    assert world.spending.left(task) == {}
