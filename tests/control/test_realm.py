"""What is in force: every change is recorded before it is kept, and what was ended stays ended."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remit.control.realm import PoliciesInForce, Realm, Trust
from remit.errors import AuditError, NotFoundError, UsageError
from remit.identity import SpiffeId
from remit.inventory import Capability, Human, Kind, LifeState, Model, Workload
from remit.policy import PolicyFile
from remit.posture import Grade
from remit.storage import Store
from remit.tasks import digest

LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama-8080")
POLICIES = PoliciesInForce((PolicyFile("a.cedar", ""),), "sha256:00")


class World:
    """A realm over a real database, with a clock that the test moves and a log that may fail."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "state.db")
        self.now = 1000.0
        self.acts: list[tuple[str, str, str | None, dict[str, Any]]] = []
        self.log_fails = False
        self.realm = self.restart()

    def restarted(self) -> "World":
        self.restart()
        return self

    def restart(
        self,
        ended: dict[str, float] | None = None,
        withheld: dict[str, tuple[LifeState, float]] | None = None,
    ) -> Realm:
        trust = Trust("maple.local", (), {"keys": []})
        self.realm = Realm(
            trust,
            self.store,
            self._act,
            lambda: self.now,
            POLICIES,
            lifetime=300.0,
            grade=lambda _: Grade("C"),
            ended=ended,
            withheld=withheld,
        )
        return self.realm

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        if self.log_fails:
            raise AuditError("the log is full")
        for _ in range(3 if what == "model.digest" else 1):  # a record takes a while: others run meanwhile
            await asyncio.sleep(0)
        self.acts.append((what, subject, person, facts))

    def meet(self, name: str, *uids: int, only: bool = False) -> Human:
        return asyncio.run(self.realm.meet(name, uids, only=only))

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            return await work()

        return asyncio.run(go())


@pytest.fixture
def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield world
    world.store.close()


def a_server(owner: str = "ada") -> Workload:
    return Workload(
        spiffe_id=LLAMA,
        name="llama-8080",
        kind=Kind.MODEL_SERVER,
        owner=owner,
        server="llama.cpp",
        upstream="http://127.0.0.1:8080",
        reach="loopback",
        capabilities=(Capability.STORE,),
        models=(Model("smol", "unknown (hashing)"),),
    )


def test_a_workload_without_a_known_owner_gets_no_identity(world: World) -> None:
    with pytest.raises(UsageError, match="no owner that is known here"):
        world.run(lambda: world.realm.lives.enrol(a_server()))
    assert world.realm.workloads == {}


def test_nothing_is_enrolled_that_was_not_recorded(world: World) -> None:
    world.meet("ada", 1000)
    world.log_fails = True
    with pytest.raises(AuditError):
        world.run(lambda: world.realm.lives.enrol(a_server()))
    assert world.realm.workloads == {}
    assert list(world.store.workloads()) == []


def test_the_log_names_people_by_pseudonym_only(world: World) -> None:
    ada = world.meet("ada", 1000)
    world.run(lambda: world.realm.lives.enrol(a_server()))
    assert world.acts[0][2] == ada.person
    assert "ada" not in str(world.acts)


def test_a_login_is_kept_when_accounts_add_up(world: World) -> None:
    account = ("https://login.maple.example", "24400320")
    world.realm.keep_human(dataclasses.replace(world.meet("ada", 1000), login=account))
    assert world.restarted().meet("ada", 1001).login == account


def test_a_pseudonym_is_kept_and_accounts_add_up(world: World) -> None:
    first = world.meet("ada", 1000)
    second = world.restarted().meet("ada", 1001)
    assert first.person == second.person
    assert second.uids == (1000, 1001)
    found = world.realm.human_of(1001)
    assert found is not None
    assert found.name == "ada"


def start(world: World, actions: tuple[str, ...] = ("disclose",), seconds: float = 60.0) -> Any:
    ada = world.meet("ada", 1000)
    world.run(lambda: world.realm.lives.enrol(a_server()))
    return world.run(
        lambda: world.realm.tasking.start(ada, LLAMA, actions, purpose="look", seconds=seconds, proof="terminal")
    )


def test_a_task_is_in_the_next_snapshot_until_it_ends(world: World) -> None:
    task, token = start(world)
    assert world.realm.snapshot().tasks == (task,)
    assert task.token_sha256 == digest(token)
    world.run(lambda: world.realm.tasking.end(task.id, "done"))
    assert world.realm.snapshot().tasks == ()


def test_an_ended_task_stays_ended_after_a_restart(world: World) -> None:
    task, _ = start(world)
    world.run(lambda: world.realm.tasking.end(task.id, "done"))
    assert world.restart().snapshot().tasks == ()
    with pytest.raises(NotFoundError, match="no task"):
        world.run(lambda: world.realm.tasking.end(task.id, "again"))


def test_a_task_expires_by_the_clock(world: World) -> None:
    start(world, seconds=60.0)
    world.now += 61
    assert world.realm.snapshot().tasks == ()


def test_a_token_is_kept_nowhere(world: World, tmp_path: Path) -> None:
    _, token = start(world)
    assert token not in str(world.acts)
    assert token not in str(world.realm.snapshot().to_dict())
    assert token.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("actions", "seconds", "said"),
    [
        (("disclos",), 60.0, "`disclos` is no action"),
        ((), 60.0, "`` is no action"),
        (("register_tool",), 60.0, "`register_tool` is no part of any task"),
        (("infer",), 0.0, "more than 0 seconds"),
        (("infer",), 8 * 86400.0, "at most 7 days"),
    ],
)
def test_a_task_that_can_t_be(world: World, actions: tuple[str, ...], seconds: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        start(world, actions, seconds)


def test_only_the_owner_starts_a_task(world: World) -> None:
    world.meet("ada", 1000)
    world.run(lambda: world.realm.lives.enrol(a_server()))
    bob = world.meet("bob", 1001)
    with pytest.raises(UsageError, match="not a workload that bob owns"):
        world.run(
            lambda: world.realm.tasking.start(bob, LLAMA, ("infer",), purpose="", seconds=60.0, proof="terminal")
        )


def test_epochs_only_rise(world: World) -> None:
    epochs = [world.realm.snapshot().epoch for _ in range(3)]
    assert epochs == sorted(set(epochs))
    assert world.realm.current().epoch == epochs[-1]


def test_a_task_that_the_log_ended_stays_ended_with_an_older_state(world: World) -> None:
    task, _ = start(world)
    assert world.restart({task.id: 1010.0}).snapshot().tasks == ()
    assert world.restart().tasks[task.id].ended == 1010.0  # and is kept so


def test_an_account_acts_for_one_person(world: World) -> None:
    alice = world.meet("alice", 1000)
    bob = world.meet("bob", 1000)
    found = world.realm.human_of(1000)
    assert found is not None
    assert found.name == "bob"
    assert world.acts == [("person.accounts", alice.person, bob.person, {"taken": [1000]})]
    assert {human.name: human.uids for human in world.restart().humans.values()} == {"alice": (), "bob": (1000,)}


def test_an_account_is_not_taken_over_without_a_record(world: World) -> None:
    world.meet("alice", 1000)
    world.log_fails = True
    with pytest.raises(AuditError):
        world.meet("bob", 1000)
    found = world.realm.human_of(1000)
    assert found is not None
    assert found.name == "alice"


def test_the_accounts_of_this_host_are_all_that_a_person_has(world: World) -> None:
    world.meet("ada", 1000, 1001)
    assert world.meet("ada", 1002, only=True).uids == (1002,)


def test_digests_that_arrive_together_are_both_kept(world: World) -> None:
    world.meet("ada", 1000)
    two = dataclasses.replace(a_server(), models=(Model("one"), Model("two")))
    world.run(lambda: world.realm.lives.enrol(two))
    digests = ("sha256:01", "sha256:02")
    one_and_two = zip(("one", "two"), digests, strict=True)
    world.run(lambda: asyncio.gather(*(world.realm.bindings.digest_known(LLAMA, *pair) for pair in one_and_two)))
    assert tuple(model.digest for model in world.realm.workloads[LLAMA].models) == digests


def test_a_workload_that_leaves_while_its_digest_arrives_is_gone(world: World) -> None:
    world.meet("ada", 1000)
    workload = world.run(lambda: world.realm.lives.enrol(a_server()))
    realm = world.realm
    world.run(
        lambda: asyncio.gather(
            realm.bindings.digest_known(LLAMA, "smol", "sha256:01"), realm.lives.leave(workload, "it ended")
        )
    )
    assert realm.workloads == {}


def test_a_task_is_ended_once(world: World) -> None:
    task, _ = start(world)
    twice = (world.realm.tasking.end(task.id, "done") for _ in range(2))
    said = world.run(lambda: asyncio.gather(*twice, return_exceptions=True))
    assert [type(one).__name__ for one in said] == ["Task", "NotFoundError"]
