"""What an edit of the policies does to the calls under way."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from remit.gateway.asking import Questions
from remit.gateway.call import Call
from remit.gateway.circumstances import circumstances_of
from remit.gateway.zone import Zone
from remit.inventory import LifeState
from remit.policy import Engine, RefusedError
from tests.policy.worlds import LLAMA, NOW, intent, snapshot

PERMIT = '@id("use") {} permit(principal, action, resource);'
LETS = PERMIT.format('@on_internal("allow")')


def zone(policy: str) -> Zone:
    """A zone that decides by this policy and does nothing else."""
    unused: Any = SimpleNamespace()
    return Zone(
        name="inference",
        engine=Engine(snapshot(policy)),
        audit=unused,
        digests=unused,
        scrubber=unused,
        broker=unused,
        upstream=unused,
        timeouts=unused,
        executor=unused,
        clock=lambda: NOW,
        monotonic=lambda: 0.0,
        cache_key=b"",
        told=lambda _: None,
        questions=Questions(lambda _: None),
    )


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        (LETS, LETS + " // a comment", True),
        (LETS, PERMIT.format('@on_internal("mask")'), False),
        (LETS, PERMIT.format('@on_internal("refuse")'), False),
        (LETS, PERMIT.format('@on_internal("allow") @on_confidential("allow")'), True),
        (PERMIT.format(""), LETS, True),
        (LETS, '@id("no") forbid(principal, action, resource);', False),
    ],
)
def test_a_call_goes_on_if_it_could_begin_now_and_lets_no_more_through(
    before: str, after: str, goes_on: bool
) -> None:
    here = zone(before)
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.may(here.engine.decide(call.asks(intent()), NOW, call.id))
    call.recorded = True
    here.put(snapshot(after, epoch=2))
    assert (cuts == []) is goes_on


def test_what_is_permitted_and_waits_for_its_budget_does_not_begin_under_other_policies() -> None:
    here = zone(LETS)
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.may(here.engine.decide(call.asks(intent()), NOW, call.id))
    here.put(snapshot('@id("no") forbid(principal, action, resource);', epoch=2))
    assert [cut.endswith("the policies no longer permit it") for cut in cuts] == [True]


OWNERS = '@id("own") permit(principal, action, resource) when { principal.owner == resource.owner };'
NOT_IN_PROD = OWNERS + '@id("prod") forbid(principal, action, resource) when { resource.environment == "prod" };'


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({"owner": "bob"}, False),
        ({"environment": "prod"}, False),
        ({"environment": "staging"}, True),
        ({"purpose": "tickets", "review_due": 1.0}, True),
    ],
)
def test_a_call_is_judged_again_when_a_workload_in_it_is_another_to_policies(
    change: dict[str, Any], goes_on: bool
) -> None:
    here = zone(NOT_IN_PROD)
    cuts: list[Any] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.may(here.engine.decide(call.asks(intent()), NOW, call.id))
    call.recorded = True
    now = snapshot(NOT_IN_PROD, epoch=2)
    rows = tuple(replace(one, **change) if one.spiffe_id == LLAMA else one for one in now.workloads)
    here.put(replace(now, workloads=rows))
    assert (cuts == []) is goes_on


@pytest.mark.parametrize(("hour", "goes_on"), [(0, False), (1, True)])
def test_a_call_is_judged_again_when_the_hour_is_another(hour: int, goes_on: bool) -> None:
    """`hour`: by how many hours later than the next one the policy ends."""
    begun = time.localtime(NOW).tm_hour
    ends = (begun + 1 + hour) % 24
    now = NOW
    here = zone(f'@id("by-day") permit(principal, action, resource) when {{ context.time.hour != {ends} }};')
    here.clock = lambda: now
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    asked = replace(intent(), circumstances=circumstances_of(intent().caller, here.engine, NOW))
    call.may(here.engine.decide(call.asks(asked), NOW, call.id))
    call.recorded = True
    here.sweep()
    assert cuts == []
    snap = here.snapshot
    now += 3600.0
    here.engine = Engine(replace(snap, issued=now), here.engine)
    here.sweep()
    assert (cuts == []) is goes_on


WHILE_HERE = '@id("here") permit(principal, action, resource) when { context.presence == "here" };'
RESTRICTED = '@id("facts") permit(principal, action, resource) when { context.facts.contains("tracing restricted") };'
BY_GRADE = '@id("grade") permit(principal, action, resource) when { context.grade == "B" };'
HERE: dict[str, Any] = {"presence": {"ada": "here"}, "facts": ("tracing restricted",), "grade": "B"}


@pytest.mark.parametrize(
    ("policy", "change", "goes_on"),
    [
        (WHILE_HERE, {"presence": {"ada": "away"}}, False),
        (WHILE_HERE, {"presence": {"ada": "unknown"}}, False),
        (WHILE_HERE, {"presence": {}}, False),
        (WHILE_HERE, {"presence": {"bob": "here"}}, False),
        (WHILE_HERE, {"presence": {"ada": "here", "bob": "away"}, "facts": ()}, True),
        (RESTRICTED, {"facts": ()}, False),
        (RESTRICTED, {"facts": ("another", "tracing restricted"), "presence": {}}, True),
        (BY_GRADE, {"grade": "C"}, False),
    ],
)
def test_a_call_is_judged_again_when_its_person_leaves_or_the_endpoint_is_another(
    policy: str, change: dict[str, Any], goes_on: bool
) -> None:
    here = zone(policy)
    here.put(replace(snapshot(policy, epoch=2), **HERE))
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    asked = replace(intent(), circumstances=circumstances_of(intent().caller, here.engine, NOW))
    call.may(here.engine.decide(call.asks(asked), NOW, call.id))
    call.recorded = True
    here.put(replace(here.snapshot, epoch=3, **change))
    assert (cuts == []) is goes_on


def test_without_control_nobody_is_known_to_be_there() -> None:
    here = zone(WHILE_HERE)
    here.put(replace(snapshot(WHILE_HERE, epoch=2), **HERE))
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    asked = replace(intent(), circumstances=circumstances_of(intent().caller, here.engine, NOW))
    call.may(here.engine.decide(call.asks(asked), NOW, call.id))
    call.recorded = True
    here.without_control()
    assert cuts
    assert here.snapshot.presence == {}


def test_what_was_not_permitted_yet_is_told_that_its_server_is_not_active() -> None:
    """It comes to the same: what is asked of a server that is suspended is refused, at whatever moment it came."""
    here = zone(LETS)
    begun, early = (Call.begin(LLAMA, NOW, 0.0, lambda _: None) for _ in range(2))
    begun.may(here.engine.decide(begun.asks(intent()), NOW, begun.id))
    here.live.update({begun, early})
    suspended = [
        replace(one, state=LifeState.SUSPENDED) if one.spiffe_id == LLAMA else one for one in here.snapshot.workloads
    ]
    here.put(snapshot(LETS, workloads=suspended, epoch=2))
    rules = [one.cut_by.rule for one in (begun, early) if isinstance(one.cut_by, RefusedError)]
    assert rules == ["remit:ended-meanwhile", "remit:not-active"]
