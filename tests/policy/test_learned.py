"""What is learned of calls in their circumstances, and what observing and approvals are to replay and learn."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policy import Action, Engine, Intent, PolicyFile, RefusedError
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts, Moment
from remit.policy.learn import _moment, learn
from remit.policy.permit import APPROVAL_NEEDED
from remit.policy.thing import ThingKind
from tests.policy.test_replay import ALL, ASKS, CATALOGUED, NAMES, decided, replay
from tests.policy.worlds import NOW, TD, curl, intent, sid, snapshot

TOOLS = '@id("tools")\npermit (principal, action == Action::"call_tool", resource);'
WITHIN = Circumstances(
    Moment(10, 2), "here", args=Arguments(("recipient", "text"), human=("recipient",), claimed=("text",)),
    flow=FlowFacts(1), destination="maple.local",
)  # fmt: skip
OTHERWISE = (
    {"moment": Moment(3, 2)},
    {"moment": Moment(10, 7)},
    {"presence": "unknown"},
    {"args": Arguments(("recipient",), untrusted=("recipient",))},
    {"args": Arguments(("recipient",), claimed=("recipient",))},
    {"args": None},
    {"flow": FlowFacts(2)},
    {"flow": FlowFacts(1, True)},
    {"destination": "unknown"},
    {"destination": None},
)


def sends(engine: Engine, so: Circumstances = WITHIN, tool: str = "mail/send") -> Intent:
    plain = intent(Action.CALL_TOOL, curl(), sid())
    return dataclasses.replace(plain, thing=engine.thing(ThingKind.TOOL, tool), circumstances=so)


def test_what_was_learned_is_for_the_circumstances_that_were_seen() -> None:
    engine = Engine(snapshot(files=[CATALOGUED, PolicyFile("p.cedar", TOOLS)]))
    learned = learn([decided(engine, sends(engine))], NAMES, TD)
    after = Engine(snapshot(files=[CATALOGUED, PolicyFile("l.cedar", learned.text)]))
    assert after.decide(sends(after), NOW, "d").policies
    for other in OTHERWISE:
        with pytest.raises(RefusedError):
            after.decide(sends(after, dataclasses.replace(WITHIN, **other)), NOW, "d")


def test_what_no_catalogue_lists_is_not_learned_as_all_that_none_lists() -> None:
    engine = Engine(snapshot(files=[CATALOGUED, PolicyFile("p.cedar", TOOLS)]))
    out = dataclasses.replace(WITHIN, destination="unknown")
    rows = [decided(engine, sends(engine, tool="mail/new")), decided(engine, sends(engine, out))]
    assert [row["outcome"] for row in rows] == ["allowed"] * 2
    learned = learn(rows, NAMES, TD)
    assert (learned.policies, learned.unlisted, learned.skipped) == (0, 2, 0)
    assert "Not from 2 of what the catalogue doesn't list" in learned.text


def test_what_was_approved_is_learned_as_something_to_approve() -> None:
    record = decided(Engine(snapshot(ALL)), intent(Action.LIST, curl("ada")))
    approved = {**record, "facts": {**record["facts"], "approval": {"id": "r-1", "kind": "approved", "by": "p-2"}}}
    learned = learn([record, approved], NAMES, TD)
    assert learned.text.count('@approval("approver")') == 1
    own = {**approved, "facts": {**record["facts"], "approval": {"id": "r-2", "kind": "self-confirmed", "by": "p-1"}}}
    assert learn([own], NAMES, TD).text.count('@approval("owner")') == 1
    for rows in ([own, approved], [approved, own]):
        assert learn(rows, NAMES, TD).text.count('@approval("approver")') == 1
    told = replay(ASKS).all([approved])
    assert (told.same, told.changed) == (1, {})


def test_what_was_only_observed_counts_as_what_policies_said() -> None:
    record = decided(Engine(snapshot(ALL)), intent(Action.LIST, curl("ada")))
    for observed, rule, policies in (
        (
            ["default-deny"],
            "remit:only-observed",
            '@id("none")\npermit (principal, action, resource) when { false };',
        ),
        ([APPROVAL_NEEDED], "asks", ASKS),
        ([], "all", ALL),
    ):
        facts = {**record["facts"], "observing": True, "observed": observed}
        row = {**record, "facts": facts, "rule": rule}
        told = replay(policies).all([row])
        assert (told.same, told.built_in) == (1, 0), observed
        assert learn([row], NAMES, TD).policies == (not observed)


@given(st.integers(0, 253_402_300_799))
def test_moments_are_as_the_calendar_has_them(t: int) -> None:
    """The policy engine reads no clock, and imports nothing that has one."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=t)
    assert _moment(t) == at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("t", [-1.0, 253_402_300_800.0, float("inf"), float("nan")])
def test_what_is_no_moment_is_told_as_the_number_that_it_is(t: float) -> None:
    assert _moment(t) == f"t {t:.0f}"
