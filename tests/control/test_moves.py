"""A workload's life in the realm: recorded, then kept, and not undone by anything that happens to its server."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control.realm import Realm
from remit.errors import AuditError
from remit.inventory import LifeState, Workload
from remit.inventory.lifecycle import Actor, LifecycleError, Verb
from tests.control.test_realm import LLAMA, World, a_server


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.meet("ada", 1000)
    yield world
    world.store.close()


def a_find(owner: str = "ada") -> Workload:
    return dataclasses.replace(a_server(owner), state=LifeState.DISCOVERED)


def enrol(world: World, workload: Workload) -> Workload:
    enrolled = world.run(lambda: world.realm.lives.enrol(workload))
    assert isinstance(enrolled, Workload)
    return enrolled


def move(world: World, verb: Verb, actor: Actor = Actor.OWNER) -> Workload:
    moved = world.run(lambda: world.realm.lives.move(LLAMA, verb, actor, world.realm.humans["ada"], "terminal"))
    assert isinstance(moved, Workload)
    return moved


def state_of(realm: Realm) -> LifeState:
    return realm.known_workloads[LLAMA].state


def test_what_is_found_becomes_owned_and_active_and_each_step_is_on_record(world: World) -> None:
    enrol(world, a_find())
    assert [what for what, *_ in world.acts] == ["workload.enrolled", "workload.owned", "workload.activated"]
    assert [facts["to"] for *_, facts in world.acts[1:]] == ["owned", "active"]
    assert {person for _, _, person, _ in world.acts} == {world.realm.humans["ada"].person}
    assert world.realm.workloads[LLAMA].active


def test_a_move_is_in_the_next_snapshot_and_says_who_made_it(world: World) -> None:
    enrol(world, a_find())
    world.now = 1234.0
    move(world, Verb.SUSPEND)
    [workload] = world.realm.snapshot().workloads
    assert (workload.state, workload.state_since) == (LifeState.SUSPENDED, 1234.0)
    ada = world.realm.humans["ada"].person
    assert world.acts[-1] == (
        "workload.suspended",
        str(LLAMA),
        ada,
        {"from": "active", "to": "suspended", "by": "its owner", "proof": "terminal"},
    )


@pytest.mark.parametrize("verb", [Verb.SUSPEND, Verb.RETIRE])
def test_it_stays_so_after_a_restart_and_whatever_its_server_does(world: World, verb: Verb) -> None:
    enrol(world, a_find())
    after = move(world, verb).state
    world.restart()
    assert state_of(world.realm) is after
    for found in (a_find(), a_server(), dataclasses.replace(a_find(), pid=77, start=5)):
        again = enrol(world, found)
        assert (again.state, again.pid) == (after, found.pid)
        assert world.realm.workloads[LLAMA].state is after
    assert world.restart().known_workloads[LLAMA].state is after


@pytest.mark.parametrize("verb", [Verb.SUSPEND, Verb.RETIRE])
def test_its_tasks_end_with_it_and_do_not_come_back(world: World, verb: Verb) -> None:
    enrol(world, a_find())
    ada = world.realm.humans["ada"]
    task, _ = world.run(
        lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=60.0, proof="terminal")
    )
    move(world, verb)
    assert world.realm.snapshot().tasks == ()
    assert [(what, subject) for what, subject, *_ in world.acts[-2:]] == [
        (f"workload.{'suspended' if verb is Verb.SUSPEND else 'retired'}", str(LLAMA)),
        ("task.ended", task.id),
    ]
    with pytest.raises(LifecycleError, match="no task can be started: llama-8080 is"):
        world.run(
            lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=60.0, proof="terminal")
        )
    if verb is Verb.SUSPEND:
        move(world, Verb.RESUME)
        assert world.realm.snapshot().tasks == ()


def test_what_is_not_recorded_is_not_done(world: World) -> None:
    enrol(world, a_find())
    world.log_fails = True
    with pytest.raises(AuditError):
        move(world, Verb.SUSPEND)
    assert state_of(world.realm) is LifeState.ACTIVE
    assert world.restart().known_workloads[LLAMA].state is LifeState.ACTIVE


def test_what_the_table_refuses_is_not_recorded(world: World) -> None:
    enrol(world, a_find())
    move(world, Verb.RETIRE)
    said = len(world.acts)
    for verb in Verb:
        with pytest.raises(LifecycleError, match="which is final"):
            move(world, verb)
    assert len(world.acts) == said


def test_what_nobody_answers_for_waits_for_an_owner(world: World) -> None:
    enrol(world, a_find(owner=""))
    assert state_of(world.realm) is LifeState.DISCOVERED
    enrol(world, a_find())  # found again: that gives it no owner
    assert (state_of(world.realm), world.realm.workloads[LLAMA].owner) == (LifeState.DISCOVERED, "")
    owned = move(world, Verb.OWN, Actor.OPERATOR)
    assert (owned.state, owned.owner) == (LifeState.OWNED, "ada")
    assert move(world, Verb.ACTIVATE).active
    assert enrol(world, a_find("bob")).owner == "ada", "who finds it again does not take it over"


def test_of_two_moves_at_once_one_is_refused(world: World) -> None:
    enrol(world, a_find())
    ada = world.realm.humans["ada"]

    def both() -> Any:
        moves = (world.realm.lives.move(LLAMA, Verb.SUSPEND, Actor.OWNER, ada, "uid") for _ in range(2))
        return asyncio.gather(*moves, return_exceptions=True)

    said = world.run(both)
    assert [type(one).__name__ for one in said] == ["Workload", "LifecycleError"]


def test_what_the_log_withheld_stays_so_with_an_older_state(world: World) -> None:
    enrol(world, a_find())
    ada = world.realm.humans["ada"]
    world.run(lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=60.0, proof="terminal"))
    world.restart(withheld={str(LLAMA): (LifeState.SUSPENDED, 1010.0)})
    assert state_of(world.realm) is LifeState.SUSPENDED
    assert state_of(world.restart()) is LifeState.SUSPENDED, "and is kept so"
    assert world.realm.snapshot().tasks == ()
    move(world, Verb.RETIRE)
    assert state_of(world.restart(withheld={str(LLAMA): (LifeState.SUSPENDED, 1010.0)})) is LifeState.RETIRED


def test_a_crash_between_a_move_and_the_ends_of_tasks_brings_none_back(world: World) -> None:
    enrol(world, a_find())
    ada, bob = world.realm.humans["ada"], world.meet("bob", 1001)

    def start() -> str:
        begun = world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=60.0, proof="terminal")
        return str(world.run(lambda: begun)[0].id)

    first = start()
    suspended = dataclasses.replace(world.realm.workloads[LLAMA], state=LifeState.SUSPENDED, state_since=world.now)
    world.store.save_workload(suspended)  # and no task's end: there it died
    for told in ({str(LLAMA): (LifeState.SUSPENDED, world.now)}, {}):
        assert world.restart(withheld=told).tasks[first].ended == world.now
    move(world, Verb.RESUME)
    world.realm.workloads[LLAMA] = world.realm.known_workloads[LLAMA]
    second = start()
    world.now += 5
    world.restart().own_again({str(LLAMA): (bob.person, world.now)})
    assert world.realm.known_workloads[LLAMA].owner == "bob"
    assert world.realm.tasks[second].ended == world.now, "it was its former owner's"
