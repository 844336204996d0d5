"""What happens to the calls under way when a workload is suspended or retired."""

import dataclasses
import os

import pytest

from remit.gateway.call import Call
from remit.identity import SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import LifeState
from remit.policy import RefusedError, Snapshot
from tests.gateway.test_policy_edits import LETS, zone
from tests.policy.worlds import BOT, LLAMA, NOW, WORKLOADS, bot, intent, snapshot, task


def idle(spiffe_id: SpiffeId, state: LifeState) -> Snapshot:
    rows = [dataclasses.replace(one, state=state) if one.spiffe_id == spiffe_id else one for one in WORKLOADS]
    return snapshot(LETS, workloads=tuple(rows), epoch=2)


@pytest.mark.parametrize("state", [LifeState.SUSPENDED, LifeState.RETIRED])
@pytest.mark.parametrize("which", [LLAMA, BOT])
def test_calls_to_it_and_by_it_are_cut_and_the_others_go_on(which: SpiffeId, state: LifeState) -> None:
    here = zone(LETS)
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.by(bot())
    permit = call.may(here.engine.decide(call.asks(intent(caller=bot())), NOW, call.id))
    here.put(snapshot(LETS, epoch=2))
    assert cuts == []
    here.check_current(permit, call)
    here.put(idle(which, state))
    [why] = cuts
    assert why.endswith(f": {next(one.name for one in WORKLOADS if one.spiffe_id == which)} is {state}")


def test_what_was_permitted_just_before_does_not_begin() -> None:
    here = zone(LETS)
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    permit = here.engine.decide(call.asks(intent()), NOW, call.id)
    here.put(idle(LLAMA, LifeState.SUSPENDED))
    with pytest.raises(RefusedError, match="has just ended"):
        here.check_current(permit, call)


def test_who_called_as_what_was_launched_for_a_task_is_cut_with_its_end() -> None:
    mine = task("infer", human="bob", named="t-7")
    launched = [dataclasses.replace(one, selectors=("remit:task:t-7",)) for one in WORKLOADS if one.spiffe_id == BOT]
    rows = (*(one for one in WORKLOADS if one.spiffe_id != BOT), *launched)
    here = zone(LETS)
    here.put(snapshot(LETS, workloads=rows, tasks=(mine,), epoch=2))
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.by(
        dataclasses.replace(bot(), process=dataclasses.replace(observe(os.getpid(), digests=EXECUTABLES), task="t-7"))
    )
    here.put(snapshot(LETS, workloads=rows, tasks=(mine,), epoch=3))
    assert cuts == []
    here.put(snapshot(LETS, workloads=rows, epoch=4))
    [why] = cuts
    assert why.endswith("the task that its caller was launched for is over")
