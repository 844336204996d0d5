"""The engine against the oracle where things are acted on: catalogue, circumstances, task's lists, approvals."""

import dataclasses
from typing import Any

from hypothesis import HealthCheck, given, settings

from remit.policy import Engine, Intent, RefusedError
from remit.policy.approval import Approval
from remit.policy.permit import ApprovalNeededError
from tests.oracle import things as oracle
from tests.policy.generated import shown
from tests.policy.generated_things import cases
from tests.policy.worlds import NOW, snapshot

THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
QUICK = settings(THOROUGH, max_examples=80)
BUILT_IN = "remit:"


def said(engine: Engine, asked: Intent, approval: Approval | None = None) -> oracle.Said:
    try:
        permit = engine.decide(asked, NOW, "d", approval)
    except ApprovalNeededError as needed:
        return oracle.Said("asks", "", frozenset(policy.id for policy in needed.policies))
    except RefusedError as refusal:
        ids = frozenset(policy.id for policy in refusal.policies)
        plain = refusal.rule.startswith(BUILT_IN) or refusal.rule == "default-deny"
        return oracle.Said("refused", refusal.rule if plain else "forbid", ids)
    return oracle.Said("allowed", "", frozenset(policy.id for policy in permit.policies))


@THOROUGH
@given(cases())
def test_the_engine_decides_about_things_as_plain_cedar_and_the_task_in_words_do(case: Any) -> None:
    snap, listed, first, second, agreed, approval = case
    engine = Engine(snap)
    for asked in (first, second, first, second):  # the second time from the cache
        wanted = oracle.decide(snap, listed, asked, NOW, agreed)
        assert said(engine, asked, approval) == wanted, shown(snap, asked)


@QUICK
@given(cases())
def test_an_approval_is_good_for_what_was_shown_and_nothing_else(case: Any) -> None:
    snap, _, _, second, _, approval = case
    engine = Engine(snap)
    if approval is not None and said(engine, second, approval).outcome == "allowed":
        assert second.binding == approval.binding or said(engine, second).outcome == "allowed"


@QUICK
@given(cases())
def test_a_forbid_over_everything_beats_every_approval(case: Any) -> None:
    snap, _, first, _, _, approval = case
    stop = '@id("stop") forbid(principal, action, resource);'
    texts = [*snap.policy_files, dataclasses.replace(snap.policy_files[0], name="stop.cedar", text=stop)]
    engine = Engine(snapshot(files=texts, tasks=snap.tasks))
    current = approval and dataclasses.replace(approval, policy_set=engine.policies.digest)
    assert said(engine, first, current).outcome == "refused"


@QUICK
@given(cases())
def test_fewer_tools_destinations_and_less_data_in_a_task_never_allow_more(case: Any) -> None:
    """Where no policy speaks of tasks: what one says of `context.task` is its own affair."""
    snap, _, first, second, _, approval = case
    if any("context.task" in file.text for file in snap.policy_files):
        return
    [held] = snap.tasks
    for part in (
        dataclasses.replace(held, tools=()),
        dataclasses.replace(held, destinations=()),
        dataclasses.replace(held, actions=held.actions[:1]),
        dataclasses.replace(held, ended=NOW - 1),
    ):
        narrow, wide = Engine(dataclasses.replace(snap, tasks=(part,))), Engine(snap)
        for asked in (first, second):
            if said(narrow, asked, approval).outcome == "allowed":
                assert said(wide, asked, approval).outcome == "allowed"
