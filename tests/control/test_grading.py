"""The grade as it changes: closed first, on record, in force; and what becomes of it when the log takes nothing."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from remit.config import Places
from remit.control.condition import Condition
from remit.control.fence import start_fence
from remit.control.fencing import Fencing
from remit.control.grading import Grading
from remit.control.realm import Realm
from remit.errors import AuditError
from remit.inventory import Workload
from remit.policy import Snapshot
from remit.posture import Fact
from remit.posture.grade import ATTESTOR, NEEDS, RAW_PORTS
from remit.sandbox import fence
from tests.control.test_condition import SERVER
from tests.control.test_realm import World
from tests.sandbox.network import Network, can_make_networks, network

pytestmark = pytest.mark.skipif(not can_make_networks(), reason="networks are made by root, and looked at with nft")

RAISED = {"from": "C", "to": "B", "facts": [{"fact": RAW_PORTS, "is": "true"}]}
FELL = {"from": "B", "to": "C", "facts": [{"fact": RAW_PORTS, "is": "false"}]}


class Gateway:
    """Keeps what it is sent, with what the log had by then."""

    def __init__(self, world: "Graded") -> None:
        self._world = world
        self.had: list[tuple[str, int]] = []

    def push(self, snapshot: Snapshot) -> None:
        self.had.append((snapshot.grade, len(self._world.told())))

    async def deliver(self, snapshot: Snapshot) -> bool:
        self.push(snapshot)
        return True


class Graded(World):
    """A realm whose grade rests on the fence alone: every other fact of B holds."""

    def __init__(self, directory: Path) -> None:
        self.condition = Condition(Places.of(directory, {}))
        super().__init__(directory)
        self.gateway = Gateway(self)

    def told(self) -> list[dict[str, Any]]:
        return [facts for what, _, _, facts in self.acts if what == "grade.changed"]

    def restart(self, *_: Any, **__: Any) -> Realm:
        realm = super().restart()
        realm._grades = self.condition.grade  # what the one above has no place for
        return realm

    @asynccontextmanager
    async def grading(self, here: Network, choice: str = "local") -> AsyncIterator[Grading]:
        running = here.inside(start_fence)
        fencing = Fencing(running, choice, self.realm.workloads, frozenset, lambda _: None)
        self.condition.closing, self.condition.on_record = fencing.closing, "C"
        try:
            yield Grading(self.realm, self.condition, fencing, self.gateway, lambda _: None)
        finally:
            assert running is not None
            running.close()
            here.inside(fence.lift)


@pytest.fixture(scope="module")
def here() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graded]:
    made = Graded(tmp_path)
    others = [Fact(name, True, "seen") for name in NEEDS["B"] if name not in {RAW_PORTS, ATTESTOR}]
    monkeypatch.setattr(made.condition, "_standing", others)
    monkeypatch.setattr("remit.control.grading.MIND_SECONDS", 0.05)
    monkeypatch.setattr("remit.control.condition.attestor_runs", lambda _pid: Fact(ATTESTOR, True, "seen"))
    yield made
    made.store.close()


async def guarded(world: Graded, grading: Grading, workload: Workload = SERVER) -> None:
    await world.realm.meet("ada", [1000])
    await world.realm.lives.enrol(workload)
    await grading.deliver(world.realm.snapshot())


async def mended(grading: Grading, here: Network, *meddled: str) -> None:
    """Until each thing that was done to the kernel's table, one after the other, is seen and put back."""
    minding = asyncio.create_task(grading.mind())
    try:
        for what in meddled:
            here.nft(what)
            async with asyncio.timeout(5):
                while "11434" not in here.run("/usr/sbin/nft list ruleset"):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
    finally:
        minding.cancel()
        with suppress(asyncio.CancelledError):
            await minding


def test_a_server_is_closed_and_the_grade_on_record_before_a_gateway_decides_by_it(
    world: Graded, here: Network
) -> None:
    async def go() -> None:
        async with world.grading(here) as grading:
            await guarded(world, grading)
            assert world.told() == [RAISED]
            assert world.gateway.had == [("B", 1)]
            assert "tcp dport 11434 meta oiftype loopback ip daddr 127.0.0.1" in here.run(
                "/usr/sbin/nft list ruleset"
            )

    asyncio.run(go())


def test_what_is_let_go_is_out_of_force_first_and_then_opened(world: Graded, here: Network) -> None:
    async def go() -> None:
        async with world.grading(here) as grading:
            await guarded(world, grading)
            await guarded(world, grading, dataclasses.replace(SERVER, reach="all"))
            assert world.told() == [RAISED, FELL]
            await world.realm.lives.leave(SERVER, "its process has ended")
            await grading.deliver(world.realm.snapshot())
            assert "11434" not in here.run("/usr/sbin/nft list ruleset")

    asyncio.run(go())


def test_what_is_found_open_is_on_record_and_put_back(world: Graded, here: Network) -> None:
    async def go() -> None:
        async with world.grading(here) as grading:
            await guarded(world, grading)
            await mended(grading, here, "flush ruleset")
            assert world.told() == [RAISED, FELL, RAISED]
            assert [facts for what, _, _, facts in world.acts if what == "fence.lost"] == [
                {"ways": ["127.0.0.1:11434"]}
            ]
            assert [grade for grade, _ in world.gateway.had] == ["B", "C", "C", "B"]

    asyncio.run(go())


def test_a_log_that_takes_nothing_keeps_nothing_open(
    world: Graded, here: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with world.grading(here) as grading:
            await guarded(world, grading)
            world.log_fails = True
            await mended(grading, here, "delete table inet remit")
            assert world.gateway.had[1:] == [("C", 1)], "it falls at once, written down or not"
            monkeypatch.setattr(world.condition, "_standing", [])
            await mended(grading, here, "flush ruleset", "flush ruleset")
            world.gateway.had[2:] = []
            world.realm.workloads[SERVER.spiffe_id] = dataclasses.replace(SERVER, reach="all")
            with pytest.raises(AuditError):
                await grading.deliver(world.realm.snapshot())
            assert world.gateway.had[2:] == [("C", 1)], "what is let go or changed is in force all the same"

    asyncio.run(go())


def test_closed_is_closed_to_other_machines_too(world: Graded, here: Network) -> None:
    async def go() -> None:
        async with world.grading(here, "closed") as grading:
            await guarded(world, grading, dataclasses.replace(SERVER, reach="all"))
            assert world.told() == [RAISED]
            assert "iiftype != loopback" in here.run("/usr/sbin/nft list ruleset")

    asyncio.run(go())


def test_open_means_open(world: Graded, here: Network) -> None:
    async def go() -> None:
        running = here.inside(start_fence)
        assert running is not None
        fencing = Fencing(running, "open", {SERVER.spiffe_id: SERVER}, frozenset, lambda _: None)
        await fencing.settle()
        assert (await fencing.missing(), fencing.standing) == (False, frozenset())
        assert here.run("/usr/sbin/nft list ruleset") == ""
        assert fencing.closing(SERVER).refused is False
        running.close()

    asyncio.run(go())


def test_remits_own_ports_are_never_closed(here: Network) -> None:
    async def go() -> None:
        running = here.inside(start_fence)
        assert running is not None
        fencing = Fencing(running, "local", {SERVER.spiffe_id: SERVER}, lambda: frozenset({11434}), lambda _: None)
        await fencing.settle()
        assert here.run("/usr/sbin/nft list ruleset") == ""
        running.close()

    asyncio.run(go())
