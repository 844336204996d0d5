"""Calls under way to a server that loses its model: cut, and control is told once."""

import asyncio
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remit.gateway.call import Call
from remit.gateway.under_way import cut_lost
from remit.gateway.zone import Zone
from remit.inventory.binding import unproven
from remit.policy import Action, Engine, Snapshot
from tests.gateway.test_model_in_force import server
from tests.gateway.test_policy_edits import LETS, zone
from tests.policy.worlds import LLAMA, NOW, WORKLOADS, intent, snapshot


def serving(workload: Any) -> Snapshot:
    rows = [workload if one.spiffe_id == workload.spiffe_id else one for one in WORKLOADS]
    return snapshot(LETS, workloads=tuple(rows), epoch=2)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    return path


@pytest.fixture
def here() -> Iterator[Zone]:
    one = zone(LETS)
    one.executor = ThreadPoolExecutor(1)
    yield one
    one.executor.shutdown()


def under_way(here: Zone, cuts: list[str], action: Action = Action.INFER) -> Call:
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.asks(dataclasses.replace(intent(action), model=None))
    call.recorded = True
    return call


@pytest.mark.parametrize("how", ["edited", "gone", "unproven"])
def test_calls_to_a_model_that_was_lost_are_cut_and_its_owner_s_repair_goes_on(
    here: Zone, weights: Path, how: str
) -> None:
    workload = dataclasses.replace(server(weights, "smol"), spiffe_id=LLAMA)
    here.engine = Engine(serving(workload))
    cuts: list[str] = []
    kept: list[str] = []
    told: list[Any] = []
    here.told = told.append
    calls = [under_way(here, cuts) for _ in range(3)]
    under_way(here, kept, Action.ADMINISTER)
    asyncio.run(cut_lost(here))
    assert (cuts, told) == ([], [])
    if how == "edited":
        weights.write_bytes(b"GGUF!")
    elif how == "gone":
        weights.unlink()
    else:
        here.put(serving(unproven(workload, "smol")))
    for _ in range(2):
        asyncio.run(cut_lost(here))
    assert len(cuts) == 3
    assert all("model `smol`" in why for why in cuts)
    assert [call.outcome for call in calls] == ["cut"] * 3
    assert kept == []
    assert {(one.rule, one.workload) for one in told} == {("remit:model-changed", LLAMA)}


def test_a_call_that_is_still_being_decided_is_left_to_its_own_look(here: Zone, weights: Path) -> None:
    here.engine = Engine(serving(dataclasses.replace(server(weights, "smol"), spiffe_id=LLAMA)))
    cuts: list[str] = []
    under_way(here, cuts).recorded = False
    weights.unlink()
    asyncio.run(cut_lost(here))
    assert cuts == []
