"""What is not enforced is counted, on record, and said to with every reply."""

import asyncio
import dataclasses
import json
from typing import Any

from remit.audit.keys import DigestKey
from remit.control.roles import ALL, Reach, Role
from remit.control.would_refuse import MAX_KINDS as KINDS_IN_CONTROL
from remit.control.would_refuse import WouldRefuse
from remit.gateway.call import Call
from remit.gateway.not_enforced import MAX_KINDS, NotEnforced
from remit.gateway.record import started
from remit.gateway.zone import Zone
from remit.identity import SpiffeId
from remit.policy import explain
from remit.policy.link import Observed
from tests.gateway.test_policy_edits import zone
from tests.policy.worlds import LLAMA, NOW, WORKLOADS, bot, intent, sid

OWN = '@id("own") permit(principal, action, resource) when { principal.owner == resource.owner };'
USE = '@id("use") permit(principal, action, resource);'
LATER = '@id("later") @mode("observe") forbid(principal, action, resource);'
ANY: Any = None


def observing(policy: str = OWN) -> Zone:
    here = dataclasses.replace(zone(policy), digests=DigestKey(b"key"))
    here.put(dataclasses.replace(here.snapshot, epoch=2, observing=True))
    return here


def called(here: Zone) -> Call:
    """Bob's bot asks ada's server, and is answered."""
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    call.may(here.engine.decide(call.asks(intent(caller=bot(), model=None)), NOW, call.id))
    here.not_enforced.count(call.intent, call.permit)
    return call


def test_every_reply_says_that_nothing_is_enforced() -> None:
    here = observing()
    begun = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    for call in (begun, called(here)):
        assert ("remit-not-enforcing", "all policies") in call.headers(here.snapshot)


def test_a_reply_says_which_policy_is_only_observed_where_it_would_have_refused() -> None:
    here = dataclasses.replace(zone(USE + LATER), digests=DigestKey(b"key"))
    assert ("remit-not-enforcing", "later") in called(here).headers(here.snapshot)
    begun = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    assert "remit-not-enforcing" not in dict(begun.headers(here.snapshot))


def test_the_record_and_its_explanation_say_that_it_was_not_enforced() -> None:
    here = observing()
    call = called(here)
    assert call.intent is not None
    assert call.permit is not None
    record = json.loads(json.dumps(started(call, call.intent, call.permit, here).to_dict()))
    assert (record["outcome"], record["rule"]) == ("allowed", "remit:only-observed")
    assert record["facts"]["observed"] == ["default-deny"]
    assert record["facts"]["observing"] is True
    text = explain(record, {})
    assert "policies are only observed here (remit:only-observed)" in text
    assert "NOT ENFORCING" in text
    assert "default-deny would have refused it" in text


def test_calls_are_counted_by_rule_action_and_server_and_told_once() -> None:
    here, told = observing(), list[Observed]()
    calls = [called(here) for _ in range(3)]
    here.not_enforced.tell(told.append)
    here.not_enforced.tell(told.append)
    assert told == [Observed("default-deny", intent().action, LLAMA, 3, calls[-1].id)]


def test_what_is_enforced_is_not_counted() -> None:
    here, told = zone(USE), list[Observed]()
    called(here)
    here.not_enforced.count(None, None)
    here.not_enforced.tell(told.append)
    assert told == []


def many(number: int) -> list[SpiffeId]:
    return [sid("inference", f"s{one}") for one in range(number)]


def test_many_kinds_are_counted_in_bounded_room() -> None:
    counts, told = NotEnforced(), list[Observed]()
    here = observing()
    made = called(here)
    assert made.intent is not None
    for server in many(MAX_KINDS + 50):
        counts.count(dataclasses.replace(made.intent, resource=server), made.permit)
    counts.tell(told.append)
    assert sum(one.number for one in told) == MAX_KINDS + 50
    assert {one.rule for one in told} == {"default-deny", "others"}


def test_the_owner_sees_the_number_of_their_own_servers() -> None:
    counts = WouldRefuse()
    told = Observed("default-deny", intent().action, LLAMA, 3, "d3")
    for one in (told, dataclasses.replace(told, number=2, newest="d5"), dataclasses.replace(told, rule="not-bob")):
        asyncio.run(counts.take(ANY, one))
    ours = {"rule": "default-deny", "action": "infer", "on": "llama-4121", "number": 5, "newest": "d5"}
    for reach in (ALL, Reach("ada", Role.PERSON)):
        shown = counts.shown(WORKLOADS, reach)
        assert shown["number"] == 8
        assert shown["most"][0] == ours
    assert counts.shown(WORKLOADS, Reach("bob", Role.PERSON)) == {"number": 0, "most": []}
    elsewhere = dataclasses.replace(told, workload=sid())
    asyncio.run(counts.take(ANY, elsewhere))
    assert counts.shown(WORKLOADS, ALL)["number"] == 11
    assert counts.shown(WORKLOADS, Reach("ada", Role.PERSON))["number"] == 8


def test_control_keeps_a_bounded_number_of_kinds() -> None:
    counts = WouldRefuse()
    for number in range(KINDS_IN_CONTROL + 20):
        told = Observed(f"p{number}", intent().action, LLAMA, 1, "d")
        asyncio.run(counts.take(ANY, told))
    shown = counts.shown(WORKLOADS, ALL)
    assert shown["number"] == KINDS_IN_CONTROL + 20
    assert shown["most"][0] == {"rule": "others", "action": "infer", "on": "llama-4121", "number": 20, "newest": "d"}
