"""A world that goes on from the one before is the same as one made anew."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.inventory import Workload
from remit.policy import Engine, Snapshot
from remit.policy.permissions import permissions
from remit.policy.world import World
from tests.policy.worlds import NOW, sid, snapshot, workload

IDS = [sid("agent", f"w{number}") for number in range(4)]
ROWS = st.builds(
    lambda spiffe_id, owner, environment, purpose: dataclasses.replace(
        workload(spiffe_id, owner=owner, environment=environment), purpose=purpose
    ),
    st.sampled_from(IDS),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from(["dev", "prod"]),
    st.sampled_from(["", "look"]),
)
INVENTORIES = st.lists(ROWS, max_size=4, unique_by=lambda row: row.spiffe_id)
RULES = (
    '@id("a") permit(principal, action, resource) when { resource.owner == Human::"ada" };',
    '@id("b") forbid(principal, action, resource) when { resource.environment == "prod" };',
    f'@id("c") permit(principal, action, resource) when {{ Workload::"{IDS[0]}".owner == Human::"bob" }};',
)


def answers(engine: Engine) -> object:
    return {
        (one, other): {
            act: (said.answer, said.policies)
            for act, said in permissions(engine.in_force, one, "ada", other, NOW).items()
        }
        for one in (*IDS, sid("user", "ada"))
        for other in IDS
    }


def with_workloads(rows: list[Workload], epoch: int) -> Snapshot:
    return snapshot(*RULES, workloads=rows, epoch=epoch)


@settings(deadline=None, max_examples=30)
@given(st.lists(INVENTORIES, min_size=2, max_size=4))
def test_a_chain_of_changes_decides_as_the_last_snapshot_alone(inventories: list[list[Workload]]) -> None:
    engine = Engine(with_workloads(inventories[0], 1))
    for epoch, rows in enumerate(inventories[1:], 2):
        answers(engine)
        engine = Engine(with_workloads(rows, epoch), engine)
        alone = Engine(with_workloads(rows, epoch))
        assert answers(engine) == answers(alone)
        assert dict(engine.in_force.world.workloads) == dict(alone.in_force.world.workloads)


def test_what_is_the_same_to_cedar_is_not_made_again() -> None:
    one, other = workload(IDS[0]), workload(IDS[1])
    before = World(snapshot(workloads=[one]))
    suspended = dataclasses.replace(one, purpose="look")
    after = World(snapshot(workloads=[suspended, other]), before=before)
    assert after.workloads[IDS[0]] is suspended
    assert after.workloads[IDS[1]] is other
    assert list(before.workloads.values()) == [one]
    assert World(snapshot(workloads=[suspended]), before=before)._base is before._base
    assert World(snapshot(workloads=[]), before=before)._base is not before._base
