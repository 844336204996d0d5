"""What is cut from a task only narrows, keeps the chain of hands, and never comes back to one of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.identity import SpiffeId
from remit.tasks import Constraint, Session, Task, ToolGrant
from remit.tasks.delegation import (
    MAX_CHAIN,
    MAX_PARTS,
    MAX_SECONDS,
    UNAVAILABLE,
    DelegationError,
    Origin,
    Wanted,
    begun,
    check_room,
    cut,
)

NOW = 1_000.0
LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama")
OTHER = SpiffeId.parse("spiffe://maple.local/inference/other")
ACTIONS = ("infer", "embed", "list", "disclose")
AGENTS = [SpiffeId.parse(f"spiffe://maple.local/agent/a{number}") for number in range(MAX_CHAIN + 1)]
PARENT = Task("t-1", "ada", LLAMA, ACTIONS[:3], "sort mail", NOW - 60, NOW + 600, "00", "terminal")


def part(wanted: Wanted, actor: SpiffeId | None = None, of: Task = PARENT, now: float = NOW) -> Task:
    return cut(of, wanted, actor, now, task_id="t-2")


def refused(code: str, wanted: Wanted, actor: SpiffeId | None = None, of: Task = PARENT, now: float = NOW) -> str:
    with pytest.raises(DelegationError) as raised:
        part(wanted, actor, of, now)
    assert raised.value.code == code
    return str(raised.value)


subsets = st.none() | st.lists(st.sampled_from(ACTIONS), max_size=5).map(tuple)
lives = st.none() | st.floats(-10, 2 * MAX_SECONDS) | st.just(float("nan"))
hands_it_passes = st.lists(
    st.tuples(subsets, lives, st.sampled_from([None, LLAMA, OTHER]), st.sampled_from(AGENTS)), max_size=8
)


@given(
    st.lists(st.tuples(subsets, lives, st.sampled_from([None, LLAMA, OTHER]), st.sampled_from(AGENTS)), max_size=8)
)
def test_however_it_is_handed_on_it_never_widens(
    hands: list[tuple[tuple[str, ...] | None, float | None, SpiffeId | None, SpiffeId]],
) -> None:
    task = PARENT
    for actions, seconds, on, actor in hands:
        try:
            after = cut(task, Wanted(on, actions, seconds), actor, NOW, task_id="t-2")
        except DelegationError:
            continue
        assert set(after.actions) <= set(task.actions)
        assert after.actions
        assert after.on == task.on
        assert NOW < after.expires <= task.expires
        assert (after.human, after.proof, after.parent) == (task.human, task.proof, task.id)
        assert after.chain[: len(task.chain)] == task.chain
        assert len(set(after.chain)) == len(after.chain) <= MAX_CHAIN
        assert after.chain[-1] == actor
        task = after


def test_what_is_not_said_stays_as_it_was_and_lives_no_longer_than_a_key_is_kept() -> None:
    task = part(Wanted(), AGENTS[0], replace(PARENT, expires=NOW + 7 * 86400))
    assert (task.on, task.actions, task.purpose, task.expires) == (
        LLAMA,
        PARENT.actions,
        "sort mail",
        NOW + MAX_SECONDS,
    )


def test_widening_is_refused_by_its_own_name() -> None:
    assert "does not let `disclose`" in refused("invalid_scope", Wanted(actions=("infer", "disclose")))
    refused("invalid_scope", Wanted(actions=()))
    refused("invalid_target", Wanted(on=OTHER))
    for seconds in (601.0, 0.0, -1.0, float("nan"), float("inf")):
        refused("invalid_authorization_details", Wanted(seconds=seconds))


def test_what_has_ended_gives_nothing() -> None:
    refused("invalid_grant", Wanted(), of=replace(PARENT, ended=NOW - 1))
    refused("invalid_grant", Wanted(), now=PARENT.expires)
    refused("invalid_grant", Wanted(), now=PARENT.started - 1)


def test_a_chain_has_no_loop_no_gap_and_an_end() -> None:
    first = part(Wanted(), AGENTS[0])
    second = part(Wanted(), AGENTS[1], first)
    assert second.chain == (AGENTS[0], AGENTS[1])
    assert part(Wanted(actions=("infer",)), AGENTS[1], second).chain == second.chain, "its holder may narrow it"
    assert "come back" in refused("invalid_grant", Wanted(), AGENTS[0], second)
    assert "only an enrolled workload" in refused("invalid_grant", Wanted(), None, second)
    task = PARENT
    for agent in AGENTS[:MAX_CHAIN]:
        task = part(Wanted(), agent, task)
    assert "the most" in refused("invalid_grant", Wanted(), AGENTS[MAX_CHAIN], task)


def test_only_the_last_hand_holds_it() -> None:
    task = part(Wanted(), AGENTS[1], part(Wanted(), AGENTS[0]))
    assert [task.held_by(agent) for agent in AGENTS[:3]] == [False, True, False]
    assert PARENT.held_by(AGENTS[0])


def test_a_session_begins_only_what_is_named() -> None:
    session = Session("s-1", "ada", NOW - 10, NOW + 100, "00", "terminal")
    origin = Origin.session(session, NOW)
    task = begun(origin, Wanted(LLAMA, ("infer",)), AGENTS[0], NOW, task_id="t-1")
    assert (task.human, task.proof, task.parent, task.expires) == ("ada", "terminal", "s-1", session.expires)
    assert task.of_a_person
    for code, wanted in (("invalid_target", Wanted(actions=("infer",))), ("invalid_scope", Wanted(LLAMA))):
        with pytest.raises(DelegationError) as raised:
            begun(origin, wanted, None, NOW, task_id="t-1")
        assert raised.value.code == code
    with pytest.raises(DelegationError, match="session has ended"):
        Origin.session(replace(session, ended=NOW), NOW)


def test_a_workload_s_own_task_is_no_person_s() -> None:
    task = begun(Origin.workload(AGENTS[0], "ada", NOW), Wanted(LLAMA, ("infer",)), AGENTS[1], NOW, task_id="t-1")
    assert not task.of_a_person
    assert task.chain == (AGENTS[0], AGENTS[1])
    assert not part(Wanted(), AGENTS[2], task).of_a_person


def test_expressions_take_room_once_each() -> None:
    def tools(at: int) -> tuple[ToolGrant, ...]:
        return (ToolGrant("t", (("a", Constraint(matches=f"x{at}")),)),)

    same = [replace(PARENT, id=f"t-{number}", parent="t-1", tools=tools(0)) for number in range(600)]
    check_room("ada", same, NOW)
    with pytest.raises(DelegationError, match="list as many"):
        check_room("ada", [replace(one, tools=tools(at)) for at, one in enumerate(same)], NOW)


def test_one_person_s_live_parts_have_a_most_and_nobody_else_s_count() -> None:
    parts = [replace(PARENT, id=f"t-{number}", parent="t-1") for number in range(MAX_PARTS)]
    others = replace(PARENT, human="bob", parent="t-1"), PARENT, replace(PARENT, parent="t-1", ended=NOW)
    check_room("ada", [*parts[1:], *others], NOW)
    with pytest.raises(DelegationError) as raised:
        check_room("ada", parts, NOW)
    assert raised.value.code == UNAVAILABLE
    check_room("ada", parts, PARENT.expires)


def test_it_is_kept_whole() -> None:
    task = part(Wanted(), AGENTS[0])
    assert Task.from_dict(task.to_dict()) == task
    old = {name: value for name, value in PARENT.to_dict().items() if name not in {"parent", "chain"}}
    assert Task.from_dict(old) == PARENT
