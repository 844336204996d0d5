"""What has ended stays so: without a log, without a disk, and whatever is done to the clock."""

from pathlib import Path
from typing import Any

import pytest

from remit.control.endings import Deadlines, Endings
from remit.errors import AuditError, StateError
from remit.tasks import Session, Task
from tests.control.test_moves import a_find, enrol
from tests.control.test_realm import LLAMA, World

MINUTES = 60.0


class FakeDisk:
    """Keeps tasks and sessions, and takes records, while there is room."""

    def __init__(self) -> None:
        self.full = False
        self.kept: list[str] = []
        self.recorded: list[str] = []

    def save_task(self, task: Task) -> None:
        self._take(task.id)

    def save_session(self, session: Session) -> None:
        self._take(session.id)

    def _take(self, name: str) -> None:
        if self.full:
            raise StateError("no room")
        self.kept.append(name)

    async def record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        if self.full:
            raise AuditError("no room")
        self.recorded.append(subject)


@pytest.fixture
def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    world.meet("ada", 1000)
    enrol(world, a_find())
    yield world
    world.store.close()


class Steady:
    """The time since boot, as a test lets it pass."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def steady(world: World) -> Steady:
    steady = Steady()
    world.realm.deadlines = Deadlines(lambda: world.now, steady)
    return steady


def start(world: World, seconds: float) -> Task:
    ada = world.realm.humans["ada"]
    task, _ = world.run(
        lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=seconds, proof="uid")
    )
    assert isinstance(task, Task)
    look(world)
    return task


def look(world: World) -> bool:
    return bool(world.run(world.realm.tasking.end_those_over))


def in_force(world: World) -> list[str]:
    return [task.id for task in world.realm.snapshot().tasks]


def test_a_task_ends_also_while_the_log_takes_nothing_and_is_on_record_after_the_next_start(world: World) -> None:
    task = start(world, 60.0)
    world.log_fails = True
    world.run(lambda: world.realm.tasking.end(task.id, "by hand"))
    assert in_force(world) == []
    assert world.realm.endings.unrecorded == {task.id: "not recorded: the log is full"}
    world.log_fails = False
    world.restart()
    assert in_force(world) == []
    world.acts.clear()
    world.run(lambda: world.realm.tasking.record_ends({}))
    [(what, subject, person, facts)] = world.acts
    assert (what, subject, person) == ("task.ended", task.id, world.realm.humans["ada"].person)
    assert facts["ended"] == world.now
    world.run(lambda: world.realm.tasking.record_ends({task.id: 1.0}))
    assert len(world.acts) == 1


def test_a_session_ends_so_too_and_takes_its_tasks_along(world: World) -> None:
    ada = world.realm.humans["ada"]
    session, _ = world.run(lambda: world.realm.delegating.begin(ada, 60.0, "terminal"))
    world.log_fails = True
    world.run(lambda: world.realm.delegating.end(session.id, "by hand"))
    assert list(world.realm.endings.unrecorded) == [session.id]
    assert world.restart().sessions[session.id].ended == world.now


def test_what_could_not_be_kept_is_kept_as_soon_as_there_is_room(world: World) -> None:
    disk = FakeDisk()
    endings, task = Endings(disk, disk.record), start(world, 60.0)
    disk.full = True
    world.run(lambda: endings.write(task, None, {}))
    assert endings.unrecorded == {task.id: "not kept: no room; not recorded: no room"}
    endings.keep_again()
    assert disk.kept == []
    disk.full = False
    endings.keep_again()
    endings.keep_again()
    assert (disk.kept, disk.recorded) == ([task.id], [])


@pytest.mark.parametrize("back", [10 * MINUTES, 3650 * 86400.0])
def test_a_task_that_was_over_does_not_come_back_when_the_clock_does(
    world: World, steady: Steady, back: float
) -> None:
    world.now = 1_700_000_000.0
    task = start(world, 60.0)
    assert in_force(world) == [task.id]
    world.now += 61.0
    steady.now += 61.0
    assert look(world)
    assert not look(world)
    world.now -= back
    assert in_force(world) == []
    world.restart()
    world.now = task.started + 1.0
    assert in_force(world) == []


def test_a_clock_that_is_set_back_prolongs_nothing(world: World, steady: Steady) -> None:
    task = start(world, 15 * MINUTES)
    world.now -= 10 * MINUTES
    steady.now += 14 * MINUTES
    world.now += 14 * MINUTES
    assert not look(world)
    assert in_force(world) == [task.id]
    steady.now += 1 * MINUTES
    world.now += 1 * MINUTES
    assert look(world)
    assert in_force(world) == []


@pytest.mark.parametrize("step", [10 * MINUTES, -10 * MINUTES])
def test_a_clock_that_was_off_for_a_moment_leaves_nothing_stuck(world: World, steady: Steady, step: float) -> None:
    task = start(world, 60 * MINUTES)
    world.now += step
    look(world)
    world.now -= step
    look(world)
    assert in_force(world) == [task.id]
    later = start(world, 5 * MINUTES)
    assert set(in_force(world)) == {task.id, later.id}


def test_a_task_that_begins_later_by_the_clock_now_can_be_ended_and_ends_with_its_workload(
    world: World, steady: Steady
) -> None:
    first, second = start(world, 60 * MINUTES), start(world, 60 * MINUTES)
    world.now -= 10 * MINUTES
    assert in_force(world) == []
    world.run(lambda: world.realm.tasking.end(first.id, "by hand"))
    world.run(lambda: world.realm.tasking.end_all_on(LLAMA, "its workload was suspended"))
    world.now += 10 * MINUTES
    assert in_force(world) == []
    assert world.realm.tasks[second.id].ended is not None
