"""A task's mark is its family's: on record, on disk and in force everywhere once it has risen, and never falls."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.detect import Label
from remit.errors import AuditError, ProtocolError, StateError
from remit.flow import Mark
from remit.policy.link import Raise
from remit.storage import Store
from remit.tasks import Task
from remit.tasks.delegation import Wanted, cut
from tests.control.test_realm import LLAMA, World


class Marked(World):
    """A realm with a family of tasks, and a gateway that takes each Snapshot, or doesn't."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.put: list[dict[str, Mark]] = []
        self.takes = True
        whole = self._task("t-whole")
        part = self._part(whole, "t-part")
        for task in (whole, part, self._part(whole, "t-other-part"), self._part(part, "t-least"), self._task("t-2")):
            self.realm.keep_task(task)

    def _task(self, named: str) -> Task:
        ends = self.now + 600
        return Task(named, "ada", LLAMA, ("infer",), "", self.now, ends, "00" * 32, "terminal")

    def _part(self, of: Task, named: str) -> Task:
        return cut(of, Wanted(), None, self.now, task_id=named)

    async def raised(self, task: str, high: str = "public", *, untrusted: bool = False) -> None:
        await self.realm.marks.raised(Raise(1, task, high, untrusted), self.deliver)

    async def deliver(self) -> bool:
        snapshot = self.realm.snapshot()
        await asyncio.sleep(0)
        if self.takes:
            self.put.append({task.id: Mark(task.high, task.untrusted) for task in snapshot.tasks})
        return self.takes

    def mark(self, task: str) -> Mark:
        return Mark(self.realm.tasks[task].high, self.realm.tasks[task].untrusted)

    def on_disk(self) -> Mark:
        """What a control that starts now would know of the whole."""
        other = Store(self.store._path)
        try:
            return next(Mark(one.high, one.untrusted) for one in other.tasks() if one.id == "t-whole")
        finally:
            other.close()


FAMILY = ("t-whole", "t-part", "t-other-part", "t-least")
SECRET = Mark(Label.CONFIDENTIAL, untrusted=True)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Marked]:
    world = Marked(tmp_path)
    yield world
    world.store.close()


@pytest.mark.parametrize("through", FAMILY)
def test_what_came_into_one_came_into_its_whole_family(world: Marked, through: str) -> None:
    asyncio.run(world.raised(through, "confidential", untrusted=True))
    assert world.on_disk() == SECRET
    assert [one["t-least"] for one in world.put] == [SECRET]
    assert all(world.mark(task) == SECRET for task in FAMILY)
    assert world.mark("t-2") == Mark()
    later = cut(world.realm.tasks["t-other-part"], Wanted(), None, world.now, task_id="t-later")
    assert (later.high, later.untrusted) == (Label.CONFIDENTIAL, True)
    told = ("task.marked", "t-whole", None, {"in": through, "high": "confidential", "untrusted": True})
    assert world.acts == [told]


def test_it_never_falls_and_says_nothing_twice(world: Marked) -> None:
    async def go() -> None:
        await world.raised("t-part", "confidential")
        await world.raised("t-least", "internal")
        await world.raised("t-least", untrusted=True)
        await world.raised("t-whole", "confidential", untrusted=True)

    asyncio.run(go())
    assert len(world.acts) == len(world.put) == 2
    assert all(world.mark(task) == SECRET for task in FAMILY)


def test_control_that_was_killed_knows_it_of_the_whole_family(world: Marked) -> None:
    asyncio.run(world.raised("t-least", "restricted", untrusted=True))
    world.restart()
    assert all(world.mark(task) == Mark(Label.RESTRICTED, untrusted=True) for task in FAMILY)
    assert world.mark("t-2") == Mark()


def test_what_one_part_was_kept_with_counts_for_all_after_a_restart(world: Marked) -> None:
    part = dataclasses.replace(world.realm.tasks["t-least"], high=Label.CONFIDENTIAL, untrusted=True)
    world.realm.keep_task(part)
    world.restart()
    assert all(world.mark(task) == SECRET for task in FAMILY)


def test_a_restored_backup_lowers_no_mark(world: Marked) -> None:
    world.realm.marks.again({"t-whole": SECRET, "t-gone": SECRET})
    assert all(world.mark(task) == SECRET for task in FAMILY)
    assert world.mark("t-2") == Mark()
    world.realm.marks.again({"t-whole": Mark()})
    assert world.mark("t-whole") == SECRET


def test_what_is_not_on_record_has_not_risen(world: Marked) -> None:
    world.log_fails = True
    with pytest.raises(AuditError):
        asyncio.run(world.raised("t-part", "confidential"))
    assert world.mark("t-part") == Mark() == world.on_disk()
    assert world.put == []


def test_until_every_gateway_has_it_nobody_is_told_that_it_is_kept(world: Marked) -> None:
    async def go() -> None:
        world.takes = False
        for _ in range(2):
            with pytest.raises(StateError, match="not every gateway"):
                await world.raised("t-part", "confidential")
        world.takes = True
        await world.raised("t-part", "confidential")
        assert [one["t-part"].high for one in world.put] == [Label.CONFIDENTIAL]
        await world.raised("t-part", "confidential")
        assert len(world.put) == 1

    asyncio.run(go())


def test_who_raises_it_no_higher_waits_for_who_did(world: Marked) -> None:
    async def go() -> None:
        begun, let = asyncio.Event(), asyncio.Event()

        async def slowly() -> bool:
            begun.set()
            await let.wait()
            return True

        first = asyncio.create_task(world.realm.marks.raised(Raise(1, "t-part", "confidential", False), slowly))
        async with asyncio.timeout(5):
            await begun.wait()
        second = asyncio.create_task(world.realm.marks.raised(Raise(2, "t-least", "internal", False), slowly))
        first.cancel()  # who asked first has gone: the rise goes on
        for _ in range(20):
            await asyncio.sleep(0)
        assert not second.done()
        let.set()
        await second

    asyncio.run(go())


def test_a_task_that_is_over_and_what_is_no_mark_are_refused(world: Marked) -> None:
    world.realm.keep_task(dataclasses.replace(world.realm.tasks["t-2"], ended=world.now))
    for task in ("t-2", "t-none"):
        with pytest.raises(StateError, match="has ended"):
            asyncio.run(world.raised(task, "internal"))
    for high in ("untrusted", "", "CONFIDENTIAL"):
        with pytest.raises(ProtocolError, match="no mark"):
            asyncio.run(world.raised("t-whole", high))
