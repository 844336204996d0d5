"""Policies that are only observed: what they would refuse goes through and is named; what Remit refuses does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.detect import Label
from remit.inventory import LifeState
from remit.policy import Action, Circumstances, Engine, Intent, Permit, PolicyFile, RefusedError, Snapshot
from remit.policy.catalogue import NAME
from remit.policy.permit import Treatment
from remit.policy.thing import ThingKind
from tests.policy.worlds import BOT, LLAMA, NOW, WORKLOADS, bot, curl, intent, sid, snapshot, task

OWN = '@id("own") permit(principal, action, resource) when { principal.owner == resource.owner };'
NOT_BOB = OWN + '@id("not-bob") forbid(principal, action, resource) when { context.human == Human::"bob" };'
REFUSES = '@id("use") @on_restricted("refuse") @on_internal("allow") permit(principal, action, resource);'
ASKS = '@id("asks") @approval("owner") permit(principal, action, resource);'
KEY = (("aws-key", Label.RESTRICTED),)


def observing(*policies: str, **facts: Any) -> Engine:
    return Engine(replace(snapshot(*policies), observing=True, **facts))


def enforcing(engine: Engine) -> Engine:
    return Engine(replace(engine.snapshot, observing=False))


@pytest.mark.parametrize(
    ("policies", "asked", "rule"),
    [
        (OWN, intent(caller=bot()), "default-deny"),
        (NOT_BOB, intent(caller=bot()), "not-bob"),
        (REFUSES, intent(found=KEY), "use"),
        (ASKS, intent(), "remit:approval-needed"),
    ],
)
def test_what_policies_would_refuse_goes_through_and_is_named(policies: str, asked: Intent, rule: str) -> None:
    decides = observing(policies)
    with pytest.raises(RefusedError) as refused:
        enforcing(decides).decide(asked, NOW, "d1")
    assert refused.value.rule == rule
    for _ in range(2):
        assert "not-bob" not in [ref.id for ref in decides.decide(asked, NOW, "d1").policies]
        assert [ref.id for ref in decides.decide(asked, NOW, "d1").observed] == [rule]


def test_what_policies_permit_is_permitted_as_ever_and_nothing_is_named() -> None:
    permit = observing(OWN).decide(intent(), NOW, "d1")
    assert permit == replace(enforcing(observing(OWN)).decide(intent(), NOW, "d1"))
    assert permit.observed == ()


def test_what_a_policy_would_refuse_for_what_was_found_is_masked() -> None:
    permit = observing(REFUSES).decide(intent(found=KEY), NOW, "d1")
    assert permit.treatment(Label.RESTRICTED) is Treatment.MASK
    assert permit.treatment(Label.INTERNAL) is Treatment.ALLOW


def test_what_no_policy_permits_goes_through_with_all_that_was_found_masked() -> None:
    permit = observing(OWN).decide(intent(caller=bot(), found=KEY), NOW, "d1")
    assert permit.policies == ()
    assert {permit.treatment(label) for label in Label} == {Treatment.MASK}


def suspended(snap: Snapshot) -> Snapshot:
    rows = [replace(one, state=LifeState.SUSPENDED) if one.spiffe_id == LLAMA else one for one in WORKLOADS]
    return replace(snap, workloads=tuple(rows))


def no_bot(snap: Snapshot) -> Snapshot:
    return replace(snap, workloads=tuple(one for one in WORKLOADS if one.spiffe_id != BOT))


BUILT_IN: list[tuple[str, Callable[[Snapshot], Snapshot], Intent]] = [
    ("remit:snapshot-expired", lambda snap: replace(snap, issued=NOW - 1000), intent()),
    ("remit:not-enrolled", lambda snap: snap, intent(resource=sid("inference", "another"))),
    ("remit:unknown-caller", no_bot, intent(caller=bot())),
    ("remit:not-active", suspended, intent()),
    ("remit:outside-task", lambda snap: snap, intent(caller=curl(task="gone"))),
    ("remit:outside-task", lambda snap: replace(snap, tasks=(task("embed"),)), intent(caller=curl(task="t1"))),
    ("remit:outside-task", lambda snap: replace(snap, tasks=(task("infer"),)), intent(caller=bot(task="t1"))),
    (
        "remit:nobody-there",
        lambda snap: replace(snap, tasks=(replace(task("infer"), present=True),)),
        intent(caller=curl(task="t1")),
    ),
]


@pytest.mark.parametrize(("rule", "world", "asked"), BUILT_IN)
def test_what_remit_itself_refuses_stays_refused(
    rule: str, world: Callable[[Snapshot], Snapshot], asked: Intent
) -> None:
    decides = Engine(world(replace(snapshot(OWN), observing=True)))
    with pytest.raises(RefusedError) as refused:
        decides.decide(asked, NOW, "d1")
    assert refused.value.rule == rule


FAILING = OWN + '@id("big") permit(principal, action, resource) when { 9223372036854775807 + context.time.hour > 0 };'


def test_a_policy_that_cannot_be_evaluated_lets_nothing_through() -> None:
    asked = replace(intent(), circumstances=replace(Circumstances(), moment=replace(Circumstances().moment, hour=1)))
    with pytest.raises(RefusedError) as refused:
        observing(FAILING).decide(asked, NOW, "d1")
    assert refused.value.rule == "remit:policy-error"


@pytest.mark.parametrize("policy", [ASKS, OWN, NOT_BOB])
def test_a_tool_that_a_task_does_not_list_stays_refused(policy: str) -> None:
    place = sid()
    files = [PolicyFile(NAME, '[tool."mail/send"]\n'), PolicyFile("p.cedar", policy)]
    held = snapshot(files=files, tasks=[task("call_tool", on=place)])
    decides = Engine(replace(held, observing=True))
    made = intent(Action.CALL_TOOL, curl(task="t1"), place, model=None, digest="unknown", route="call")
    with pytest.raises(RefusedError):
        decides.decide(replace(made, thing=decides.thing(ThingKind.TOOL, "mail/send"), arguments={}), NOW, "d1")


@given(
    caller=st.sampled_from([curl(), bot(), curl("bob"), curl(task="t1"), bot(task="t1")]),
    action=st.sampled_from([Action.INFER, Action.EMBED, Action.DISCLOSE]),
    policies=st.sampled_from([OWN, NOT_BOB, REFUSES, ASKS, FAILING]),
    found=st.sampled_from([(), KEY]),
)
def test_observing_shows_no_more_than_what_was_found_masked_and_never_beyond_a_task(
    caller: Any, action: Action, policies: str, found: Any
) -> None:
    held = snapshot(policies, tasks=[task("infer", "embed")])
    asked = intent(action, caller, found=found)
    rule, permit = outcome(Engine(held), asked)
    observed, through = outcome(Engine(replace(held, observing=True)), asked)
    if permit is not None:
        assert through is not None
        assert (through.policies, through.observed) == (permit.policies, ())
    elif through is None:
        assert observed == rule
        assert rule in {"remit:outside-task", "remit:policy-error"}
    else:
        assert [ref.id for ref in through.observed] == [rule]
        assert through.treatment(Label.RESTRICTED) is Treatment.MASK
        assert caller.task is None or action.value in {"infer", "embed"}


def outcome(decides: Engine, asked: Intent) -> tuple[str, Permit | None]:
    """By which rule it is refused, or the permit."""
    try:
        return "", decides.decide(asked, NOW, "d1")
    except RefusedError as error:
        return error.rule, None
