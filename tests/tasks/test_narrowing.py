"""A part of a task, or a task of a profile, is never more than what it was cut from; old rows still load."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.detect import Label
from remit.identity import SpiffeId
from remit.tasks import Budget, Constraint, Narrowing, Reach, Task, ToolGrant, WiderError
from remit.tasks.delegation import DelegationError, Origin, Wanted, begun, cut
from remit.tasks.narrowing import AS_IT_WAS, SCALE, narrowed, within
from remit.tasks.tool_part import ToolPart

NOW = 1_000.0
LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama")
READ = ToolGrant("files/read", (("path", Constraint(beneath=("/w",))),))
READ_A = ToolGrant("files/read", (("path", Constraint(beneath=("/w/a",))),))
SEND = ToolGrant("mail/send", (("to", Constraint(host_in=("x.example",))),))
TASK = Task(
    "t-1", "ada", LLAMA, ("infer", "call_tool"), "sort mail", NOW - 60, NOW + 600, "00", "terminal",
    profile="mail-assistant", tools=(READ, SEND), ceiling=Label.CONFIDENTIAL,
    destinations=("archive", "*.x.example"), budget=Budget(calls=10, seconds=60), present=False,
)  # fmt: skip
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("files/read", {"path": "/w/a/b"}), ("files/read", {"path": "/w/c"}), ("files/read", {"path": "/etc"}),
    ("mail/send", {"to": "bob@x.example"}), ("mail/send", {"to": "eve@evil.example"}), ("mail/send", {}),
)  # fmt: skip
PLACES = ("archive", "a.x.example", "x.example", "evil.example", "*.x.example", "*.a.x.example", "*", "unknown")
PARTS = (
    ToolPart("files/read"), ToolPart("mail/send"), ToolPart("mail/*"), ToolPart("*"),
    ToolPart("files/read", (("path", Constraint(beneath=("/w/a",))),)),
    ToolPart("files/read", (("path", Constraint(beneath=("/",))),)), ToolPart("mail/send", (), others=True),
)  # fmt: skip

some = st.sampled_from
narrowings = st.builds(
    Narrowing,
    actions=st.none() | st.lists(some(["infer", "call_tool", "export"]), max_size=2).map(tuple),
    tools=st.none()
    | st.lists(some([READ, READ_A, SEND, ToolGrant("*"), ToolGrant("files/read"), *PARTS]), max_size=2).map(tuple),
    ceiling=st.none() | some(SCALE),
    destinations=st.none() | st.lists(some(PLACES), max_size=2).map(tuple),
    budget=st.none() | st.builds(Budget, *(st.none() | some([0, 5, 10, 70]) for _ in range(4))),
    present=st.none() | st.booleans(),
)


def may(reach: Reach) -> set[object]:
    """All that a reach lets happen, of what these tests know."""
    return {
        *reach.actions,
        *(str(call) for call in CALLS if any(grant.covers(*call) for grant in reach.tools)),
        *(label for label in SCALE if SCALE.index(label) <= SCALE.index(reach.ceiling)),
        *(f"to {place}" for place in PLACES if within(place, reach.destinations)),
        *((kind, one) for kind, most in enumerate(reach.budget.most.amounts()) for one in (1, 6, 11) if one <= most),
        *(["away"] if not reach.present else []),
    }  # fmt: skip


@given(st.lists(narrowings, max_size=4))
def test_however_often_it_is_narrowed_nothing_more_may_happen(asked: list[Narrowing]) -> None:
    reach = TASK.reach
    for one in asked:
        try:
            part = narrowed(reach, one)
        except WiderError:
            continue
        assert may(part) <= may(reach)
        reach = part


@given(narrowings)
def test_a_part_of_a_task_is_narrowed_as_a_task_of_a_profile_is(asked: Narrowing) -> None:
    wanted = Wanted(actions=asked.actions, part=asked)
    try:
        expected = narrowed(TASK.reach, asked)
    except WiderError as wider:
        with pytest.raises(DelegationError, match=re.escape(str(wider))):
            cut(TASK, wanted, None, NOW, task_id="t-2")
        return
    part = cut(TASK, wanted, None, NOW, task_id="t-2")
    assert part.reach == expected
    assert (part.profile, part.parent) == ("mail-assistant", "t-1")


@pytest.mark.parametrize(
    ("asked", "key", "told"),
    [
        (Narrowing(actions=("export",)), "actions", "the task does not let `export` happen"),
        (Narrowing(actions=()), "actions", "no action is asked for"),
        (Narrowing(tools=(READ_A, ToolGrant("files/read"))), "tools", "`files/read` with these arguments is more"),
        (Narrowing(tools=(ToolGrant("files/write"),)), "tools", "`files/write`"),
        (Narrowing(ceiling=Label.RESTRICTED), "ceiling", "`restricted` is above"),
        (Narrowing(destinations=("x.example",)), "destinations", "sent to `x.example`"),
        (Narrowing(destinations=("*",)), "destinations", r"sent to `\*`"),
        (Narrowing(budget=Budget(calls=11)), "budget", "`calls` is 11, and the task has 10"),
    ],
)
def test_what_is_more_is_refused_by_name(asked: Narrowing, key: str, told: str) -> None:
    with pytest.raises(WiderError, match=told) as refused:
        narrowed(TASK.reach, asked)
    assert refused.value.key == key


def test_who_must_be_present_must_stay_so() -> None:
    guarded = replace(TASK.reach, present=True)
    assert narrowed(guarded, AS_IT_WAS) == narrowed(guarded, Narrowing(present=True)) == guarded
    with pytest.raises(WiderError, match="must be present"):
        narrowed(guarded, Narrowing(present=False))


def test_a_budget_without_a_limit_of_some_kind_keeps_the_one_there_is() -> None:
    assert narrowed(TASK.reach, Narrowing(budget=Budget(tokens=9))).budget == Budget(10, 9, None, 60)


def test_what_is_not_listed_does_not_fit() -> None:
    assert [TASK.fits(*call) for call in CALLS] == [True, True, False, True, False, False]
    assert [TASK.sends_to(place) for place in ("archive", "a.x.example", "evil.example")] == [True, True, False]
    bare = replace(TASK, tools=(), destinations=())
    assert not any(bare.fits(*call) for call in CALLS)
    assert not bare.sends_to("archive")


def test_a_first_task_has_what_is_said_and_nothing_else() -> None:
    origin = Origin("ada", "terminal", NOW + 600)
    said = Wanted(LLAMA, ("call_tool",), part=Narrowing(tools=(READ,), ceiling=Label.INTERNAL, present=True))
    task = begun(origin, said, None, NOW, task_id="t-3")
    assert task.reach == Reach(("call_tool",), (READ,), Label.INTERNAL, (), Budget(), True)
    unsaid = begun(origin, Wanted(LLAMA, ("infer",)), None, NOW, task_id="t-4")
    assert (unsaid.tools, unsaid.destinations, unsaid.profile) == ((), (), "")


def test_a_task_is_kept_as_it_is_and_an_old_one_still_loads() -> None:
    for task in (TASK, replace(TASK, present=True, budget=Budget(), tools=())):
        assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    old = {
        key: value
        for key, value in TASK.to_dict().items()
        if key not in {"profile", "tools", "ceiling", "destinations", "budget", "present"}
    }
    loaded = Task.from_dict(old)
    assert loaded.reach == Reach(("infer", "call_tool"))
    assert loaded.covers("infer", LLAMA, NOW)
    assert not loaded.fits("files/read", {})


def test_content_from_outside_is_no_ceiling() -> None:
    with pytest.raises(ValueError, match="`untrusted` is no ceiling"):
        Task.from_dict({**TASK.to_dict(), "ceiling": "untrusted"})
