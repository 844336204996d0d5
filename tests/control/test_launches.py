"""What was launched for a task, over a real database and real processes: the task ends when its process exits."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remit.control.launches import OVER, Launches
from remit.identity.attestation.procfs import read_stat
from remit.identity.selectors import selectors_of
from remit.policy import Snapshot
from remit.tasks import Task
from tests.control.test_moves import a_find
from tests.control.test_realm import LLAMA, World

SECONDS = 5.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.meet("ada", 1000)
    world.run(lambda: world.realm.lives.enrol(a_find()))
    yield world
    world.store.close()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A shell that starts a child of its own."""
    command = ["sh", "-c", "sh -c 'echo $$; sleep 60'; true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        yield started
        subprocess.run(["kill", "-9", "--", f"-{started.pid}"], check=False, stderr=subprocess.DEVNULL)


@asynccontextmanager
async def launches(world: World) -> AsyncIterator[tuple[Launches, list[Snapshot]]]:
    """The launches of a run, and what was put in force after each end."""
    delivered: list[Snapshot] = []
    running: set[asyncio.Task[None]] = set()

    async def deliver(snapshot: Snapshot) -> bool:
        delivered.append(snapshot)
        return True

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        running.add(asyncio.get_running_loop().create_task(work))

    one = Launches(world.realm, deliver, spawn)
    try:
        yield one, delivered
    finally:
        one.close()
        await asyncio.gather(*running)


async def started(world: World, pid: int, start: int | None = None) -> Task:
    launched = pid, read_stat(pid).start if start is None else start
    task, _ = await world.realm.tasking.start(
        world.realm.humans["ada"], LLAMA, ("infer",), purpose="", seconds=60, proof="uid", launched=launched
    )
    return task


async def until(seen: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not seen():
            await asyncio.sleep(0.01)


def test_its_end_is_the_task_s_on_record_and_put_in_force(world: World, process: subprocess.Popen[str]) -> None:
    async def go() -> None:
        async with launches(world) as (held, delivered):
            task = await started(world, process.pid)
            await held.watch(task)
            assert world.realm.tasks[task.id].ended is None
            process.kill()
            await until(lambda: delivered)
            assert delivered[-1].tasks == ()
            assert world.acts[-1][:2] == ("task.ended", task.id)
            assert world.acts[-1][3]["why"] == OVER

    asyncio.run(go())


def test_what_has_exited_before_it_is_held_or_was_another_of_its_number_has_no_task(
    world: World, process: subprocess.Popen[str]
) -> None:
    async def go() -> None:
        async with launches(world) as (held, _):
            other = await started(world, process.pid, start=1)
            await held.watch(other)
            gone = await started(world, process.pid)
            process.kill()
            process.wait()
            await held.watch(gone)
            assert [world.realm.tasks[one.id].ended is not None for one in (other, gone)] == [True, True]

    asyncio.run(go())


def test_a_later_run_goes_on_with_those_that_run_and_ends_the_others(
    world: World, process: subprocess.Popen[str]
) -> None:
    async def go() -> None:
        stays, gone = await started(world, process.pid), await started(world, process.pid, start=1)
        world.restart()
        async with launches(world) as (held, delivered):
            await held.take_up()
            assert world.realm.tasks[gone.id].ended is not None
            assert world.realm.tasks[stays.id].ended is None
            process.kill()
            await until(lambda: delivered)
            assert world.realm.tasks[stays.id].ended is not None

    asyncio.run(go())


def test_a_task_that_ended_before_its_process_is_not_ended_again(
    world: World, process: subprocess.Popen[str]
) -> None:
    async def go() -> None:
        async with launches(world) as (held, delivered):
            task = await started(world, process.pid)
            await held.watch(task)
            await world.realm.tasking.end(task.id, "enough")
            process.kill()
            process.wait()
            await asyncio.sleep(0.05)
            assert delivered == []
            assert [what for what, *_ in world.acts].count("task.ended") == 1

    asyncio.run(go())


def test_its_descendants_carry_the_task_while_it_lives(world: World, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    child = int(process.stdout.readline())

    async def go() -> None:
        async with launches(world) as (held, _):
            task = await started(world, process.pid)
            for pid in (process.pid, child):
                assert f"remit:task:{task.id}" in selectors_of(held.observe(pid))
            await world.realm.tasking.end(task.id, "enough")
            assert held.observe(child).task is None

    asyncio.run(go())
