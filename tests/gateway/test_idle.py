"""What happens to the calls under way when a workload is suspended or retired."""

import dataclasses

import pytest

from remit.gateway.call import Call
from remit.identity import SpiffeId
from remit.inventory import LifeState
from remit.policy import RefusedError, Snapshot
from tests.gateway.test_policy_edits import LETS, zone
from tests.policy.worlds import BOT, LLAMA, NOW, WORKLOADS, bot, intent, snapshot


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
