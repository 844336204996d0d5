"""A model is approved as it was shown: what it is by then another one is not."""

import asyncio
import dataclasses
from typing import Any

import pytest

from remit.control.bindings import Bindings
from remit.control.desk import Desk
from remit.control.visitor import Visitor
from remit.inventory import Human, Model, Workload
from remit.models import ModelIdentity
from remit.persons import Kind, ProofNeededError, ProofRefusedError
from tests.control.test_proving import Door, offering, visitor
from tests.inventory.test_binding import FIRST, SWAPPED, a_server, known


class World:
    """One server whose model may become another at any time, and what control knows of it."""

    def __init__(self) -> None:
        self.door, self.one_act, self.proofs = Door(), asyncio.Lock(), self
        self.proving = self.door.proving
        self.bindings, self.kept = Bindings(self), []  # type: ignore[arg-type, var-annotated]
        self.doors: dict[str, Any] = {}
        self.serves(FIRST)

    def serves(self, identity: ModelIdentity) -> None:
        server = a_server(Model("m"))
        self.workloads = {server.spiffe_id: a_server(known("m", identity))}

    def deployable(self, _reach: object) -> list[Workload]:
        return list(self.workloads.values())

    async def acts(self, *_of_what: Any) -> None: ...

    def keep_workload(self, workload: Workload) -> None:
        self.kept.append(workload.bindings[-1])

    def snapshot(self) -> None: ...

    async def deliver(self, snapshot: object) -> bool:
        return True

    def desk(self) -> Desk:
        missing: Any = None
        world: Any = self
        return Desk(
            realm=world,
            deployment=missing,
            governance=missing,
            observe=missing,
            terminal_proof=missing,
            deliver=self.deliver,
            request_stop=missing,
            registry=missing,
            launches=missing,
            sessions=missing,
            proofs=world,
            break_glass=missing,
            keys=missing,
            survey=world,
            approvals=missing,
            tasks=world,
        )


def owner() -> Visitor:
    return dataclasses.replace(visitor(), human=Human("ada", "p-1000", (1000,)))


@pytest.mark.parametrize("digest", ["", FIRST.weights, FIRST.digest])
def test_it_is_shown_by_its_digests_and_bound_as_it_was_shown(digest: str) -> None:
    async def body() -> None:
        world, who = World(), owner()
        desk = world.desk()
        with pytest.raises(ProofNeededError) as needed:
            await desk.approve_model(who, "m", "", digest)
        shown = dict(needed.value.pending.asking.shown.values)
        assert shown == {"model": "m", "on": "llama", "digest": FIRST.weights, "identity": FIRST.digest}
        world.proving.grant(needed.value.pending.id, Kind.PASSWORD, "e")
        await desk.approve_model(offering(who, needed.value.pending.id), "m", "", digest)
        assert [one.identity for one in world.kept] == [FIRST]

    asyncio.run(body())


def test_one_that_became_another_while_its_owner_was_asked_is_not_approved() -> None:
    async def body() -> None:
        world, who = World(), owner()
        desk = world.desk()
        with pytest.raises(ProofNeededError) as needed:
            await desk.approve_model(who, "m", "", "")
        world.proving.grant(needed.value.pending.id, Kind.PASSWORD, "e")
        world.serves(SWAPPED)
        with pytest.raises(ProofRefusedError, match="another process, act or arguments"):
            await desk.approve_model(offering(who, needed.value.pending.id), "m", "", "")
        assert world.kept == []

    asyncio.run(body())
