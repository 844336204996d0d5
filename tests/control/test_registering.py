"""Registering over a real database and real processes: recorded, then kept; and who runs under a workload is none."""

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control.governed import governor
from remit.control.registering import Registering
from remit.detect import Label
from remit.errors import AuditError, NotFoundError, UsageError
from remit.identity import Process
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import LifeState, Workload
from remit.inventory.lifecycle import Actor, LifecycleError, Verb
from remit.inventory.selectors import SelectorsError, workload_of
from tests.control.test_moves import a_find
from tests.control.test_realm import LLAMA, World


def seen(pid: int) -> Process:
    return observe(pid, digests=EXECUTABLES)


ME = seen(os.getpid())
SELECTORS = (f"unix:uid:{ME.uid}", "unix:path:/opt/agent")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.meet("ada", 1000)
    world.meet("bob", 1001)
    yield world
    world.store.close()


def add(world: World, name: str = "one", *selectors: str, owner: str = "ada", **declared: Any) -> Workload:
    ada = world.realm.humans["ada"]
    registering = Registering(world.realm, "dev", seen)
    added = world.run(
        lambda: registering.add(
            name, "agent", selectors or SELECTORS, declared, owner=owner, by=ada, asking=ME, proof="uid"
        )
    )
    assert isinstance(added, Workload)
    return added


def declare(world: World, **declared: Any) -> Any:
    ada = world.realm.humans["ada"]
    registering = Registering(world.realm, "dev", seen)
    return world.run(lambda: registering.declare("one", declared, by=ada, proof="uid"))


def test_each_step_is_on_record_with_who_took_it_and_for_whom(world: World) -> None:
    bob = world.realm.humans["bob"]
    added = add(world, owner="bob")
    assert (added.owner, added.active) == ("bob", True)
    assert [what for what, *_ in world.acts] == ["workload.registered", "workload.owned", "workload.activated"]
    assert {person for _, _, person, _ in world.acts} == {world.realm.humans["ada"].person}
    assert world.acts[1][3]["owner"] == bob.person
    assert world.acts[0][3]["selectors"] == [SELECTORS[0], "unix:path"]
    assert "bob" not in str(world.acts)


def test_it_is_in_force_again_after_a_restart_and_so_is_what_it_became(world: World) -> None:
    added = add(world)
    assert list(world.restart().workloads) == [added.spiffe_id]
    world.run(
        lambda: world.realm.lives.move(added.spiffe_id, Verb.RETIRE, Actor.OWNER, world.realm.humans["ada"], "uid")
    )
    assert world.restart().workloads[added.spiffe_id].state is LifeState.RETIRED
    withheld = {str(added.spiffe_id): (LifeState.SUSPENDED, 5.0)}
    world.store.save_workload(added)  # as an older backup has it
    assert world.restart(withheld=withheld).workloads[added.spiffe_id].state is LifeState.SUSPENDED


def test_nothing_is_registered_or_declared_that_was_not_recorded(world: World) -> None:
    world.log_fails = True
    with pytest.raises(AuditError):
        add(world)
    assert (list(world.realm.workloads), list(world.store.workloads())) == ([], [])
    world.log_fails = False
    add(world)
    world.log_fails = True
    with pytest.raises(AuditError):
        declare(world, purpose="tickets")
    assert [one.purpose for one in world.store.workloads()] == [""]


def test_nobody_unknown_and_nobody_at_all_answers_for_it(world: World) -> None:
    with pytest.raises(NotFoundError, match="nobody known here is called `nemo`") as refused:
        add(world, owner="nemo")
    assert "`ada`, `bob`" in refused.value.hint
    with pytest.raises(UsageError, match="a workload needs an owner"):
        add(world, owner="")
    assert world.acts == []


def test_what_is_declared_outlasts_a_restart_and_a_new_find(world: World) -> None:
    world.run(lambda: world.realm.lives.enrol(a_find()))
    registering = Registering(world.realm, "dev", seen)
    said = {"environment": "prod", "zone": "tools", "vendor": "acme", "label": "confidential"}
    ada = world.realm.humans["ada"]
    changed = world.run(lambda: registering.declare("llama-8080", said, by=ada, proof="uid"))
    assert world.acts[-1][:3] == ("workload.declared", str(LLAMA), ada.person)
    assert world.acts[-1][3] == {**changed, "proof": "uid"}
    assert changed["environment"] == ["dev", "prod"]
    assert world.realm.workloads[LLAMA].environment == "prod", "policies judge by it at once"
    world.restart()
    again = world.run(lambda: world.realm.lives.enrol(a_find("bob")))
    assert (again.environment, again.zone, again.vendor, again.owner) == ("prod", "tools", "acme", "ada")
    assert again.label is Label.CONFIDENTIAL


def test_what_does_not_differ_is_no_act_and_what_is_retired_does_not_change(world: World) -> None:
    added = add(world, purpose="tickets")
    said = len(world.acts)
    assert declare(world, purpose="tickets") == {}
    assert len(world.acts) == said
    world.realm.replace_workload(dataclasses.replace(added, state=LifeState.RETIRED))
    with pytest.raises(LifecycleError, match="which is final"):
        declare(world, purpose="other")


def test_a_transfer_ends_the_former_owner_s_tasks_and_outlasts_a_restart(world: World) -> None:
    ada, bob = world.realm.humans["ada"], world.realm.humans["bob"]
    world.run(lambda: world.realm.lives.enrol(a_find()))
    world.run(lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), purpose="", seconds=60, proof="uid"))
    world.run(lambda: world.realm.lives.move(LLAMA, Verb.TRANSFER, Actor.OWNER, ada, "uid", bob))
    whats = [(what, facts.get("owner"), facts.get("why")) for what, _, _, facts in world.acts[-2:]]
    assert whats == [
        ("workload.transferred", bob.person, None),
        ("task.ended", None, "its workload was transferred"),
    ]
    assert world.realm.snapshot().tasks == ()
    assert world.restart().known_workloads[LLAMA].owner == "bob"
    assert world.run(lambda: world.realm.lives.enrol(a_find())).owner == "bob", "found again, it is still bob's"


def test_selectors_of_a_found_server_s_process_or_of_who_asks_are_refused(world: World) -> None:
    with subprocess.Popen(["sleep", "60"]) as server:
        try:
            process = seen(server.pid)
            running = dataclasses.replace(
                a_find(), selectors=(f"unix:uid:{process.uid}",), pid=process.pid, start=process.start
            )
            world.run(lambda: world.realm.lives.enrol(running))
            with pytest.raises(
                SelectorsError, match=f"process {server.pid} has those of .*agent/one.*is .*llama-8080"
            ):
                add(world, "one", f"unix:path:{process.exe}")
        finally:
            server.kill()
    for exe in {ME.exe, seen(os.getppid()).exe} - {None}:  # the parent may be in another namespace
        with pytest.raises(SelectorsError, match="could not be told from its owner") as refused:
            add(world, "one", f"unix:uid:{ME.uid}", f"unix:path:{exe}")
        assert "unix:path" in refused.value.hint
    assert list(world.realm.workloads) == [LLAMA]


def test_whoever_runs_under_a_workload_is_governed_by_it(world: World, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_bytes(Path("/bin/sh").read_bytes())
    agent.chmod(0o755)
    one = add(world, "one", f"unix:uid:{ME.uid}", f"unix:path:{agent}")
    command = [str(agent), "-c", "sh -c 'echo $$; sleep 60'; true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        child = int(started.stdout.readline())
        try:
            for pid in (started.pid, child):
                assert governor(seen(pid), [one], seen) == one
            assert workload_of(seen(child), [one]) is None, "it runs under the agent, and is not the agent"
            assert governor(ME, [one], seen) is None
        finally:
            os.killpg(started.pid, 9)
