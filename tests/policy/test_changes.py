"""What a worker makes of the changes it is sent is the Snapshot that control has."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ProtocolError
from remit.inventory import Human, Workload
from remit.policy import PolicyFile, Snapshot
from remit.policy.changes import Changes
from remit.policy.frames import Unpacker, pack
from remit.policy.link import InForce
from remit.policy.link_json import decode, encode
from tests.policy.worlds import BOT, LLAMA, NOW, PROD, sid, snapshot, task, workload

ROWS = st.builds(
    lambda name, owner: workload(sid("agent", name), owner=owner),
    st.sampled_from([f"w{number}" for number in range(6)]),
    st.sampled_from(["ada", "bob"]),
)
SNAPSHOTS = st.builds(
    lambda rows, files, tasks, humans: dataclasses.replace(
        snapshot(workloads=rows, tasks=tasks), policy_files=files, humans=humans, jwt_authorities={"keys": len(rows)}
    ),
    st.lists(ROWS, max_size=6, unique_by=lambda row: row.spiffe_id),
    st.sampled_from([(), (PolicyFile("a", ""),), (PolicyFile("a", "x"), PolicyFile("b", ""))]),
    st.sampled_from([(), (task("infer"),)]),
    st.sampled_from([(), (Human("ada", "p", (1,)),)]),
)


def told(message: InForce | Changes, has: Snapshot | None) -> Snapshot:
    """What a worker that has one Snapshot has after a message that came over the link."""
    [row] = Unpacker().feed(pack(encode(message)))
    match decode(row):
        case InForce(whole):
            return whole
        case Changes() as changes:
            assert has is not None
            return changes.onto(has)
    raise AssertionError(row)


@settings(deadline=None)
@given(st.lists(SNAPSHOTS, min_size=1, max_size=5))
def test_a_worker_that_is_told_of_each_change_has_what_control_has(history: list[Snapshot]) -> None:
    before: Snapshot | None = None
    has: Snapshot | None = None
    for epoch, made in enumerate(history, 1):
        after = dataclasses.replace(made, epoch=epoch, issued=NOW + epoch)
        changes = Changes.between(before, after) if before is not None else None
        before, has = after, told(changes if changes is not None else InForce(after), has)
        assert has == after


def test_one_changed_workload_of_many_is_all_that_is_sent() -> None:
    rows: list[Workload] = [workload(sid("agent", f"w{number}")) for number in range(1_000)]
    before = snapshot(workloads=rows)
    rows[500] = dataclasses.replace(rows[500], purpose="look")
    after = dataclasses.replace(before, epoch=2, workloads=tuple(rows))
    changes = Changes.between(before, after)
    assert changes is not None
    assert changes.part.workloads == (rows[500],)
    assert changes.part.policy_files == ()
    assert 100 * len(pack(encode(changes))) < len(pack(encode(InForce(after))))


def test_who_left_is_named_alone() -> None:
    before = snapshot(workloads=[workload(LLAMA), workload(PROD), workload(BOT)])
    changes = Changes.between(before, dataclasses.replace(before, epoch=2, workloads=before.workloads[1:]))
    assert changes is not None
    assert (changes.gone, changes.part.workloads) == ((LLAMA,), ())


@pytest.mark.parametrize("changes", [Changes(1, snapshot(), (sid("agent", "stranger"),)), Changes(2, snapshot(), ())])
def test_changes_of_another_snapshot_are_refused(changes: Changes) -> None:
    with pytest.raises(ProtocolError, match="don't fit the snapshot of epoch 1"):
        changes.onto(snapshot(epoch=1))


def test_who_left_and_came_back_stands_last() -> None:
    """The order is control's own: where changes can't say it, the whole Snapshot does."""
    one, two, three = workload(LLAMA), workload(PROD), workload(BOT)
    before = snapshot(workloads=[one, two, three])
    assert Changes.between(before, dataclasses.replace(before, epoch=2, workloads=(two, three, one))) is None
