"""What a call was decided by is in its record, so that it can be decided again; contents are not."""

import dataclasses
import functools
import json
from types import SimpleNamespace
from typing import Any

from remit.audit.keys import DigestKey
from remit.detect import Detector
from remit.gateway.call import Call
from remit.gateway.record import started
from remit.gateway.said import MAX_CHARACTERS
from remit.policy import explain
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts
from remit.policy.in_force import InForce
from remit.policy.kept import MAX_DID
from remit.policy.replay import Replay
from remit.redaction import Scrubber
from tests.gateway.test_policy_edits import PERMIT, zone
from tests.policy.worlds import LLAMA, NOW, bot, intent, snapshot


@functools.cache
def scrubber() -> Scrubber:
    return Scrubber(Detector())


def recording(policies: str) -> Any:
    """A zone that can write records."""
    return dataclasses.replace(zone(policies), digests=DigestKey(b"key"), scrubber=scrubber())


def test_a_start_record_has_the_facts_and_is_decided_again_by_them() -> None:
    here = recording(PERMIT.format(""))
    so = Circumstances(
        presence="here", args=Arguments(("path",), unseen=("path",)), flow=FlowFacts(2, True, ("infer",))
    )
    asked = dataclasses.replace(intent(caller=bot(), model=None), circumstances=so)
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    permit = here.engine.decide(call.asks(asked), NOW, call.id)
    record: dict[str, Any] = json.loads(json.dumps(started(call, asked, permit, here).to_dict()))
    assert record["facts"]["exhaustive"] is True
    assert record["facts"]["args"]["unseen"] == ["path"]
    assert record["facts"]["flow"] == {"high": 2, "untrusted": True, "did": ["infer"]}
    away = '@id("p") permit(principal, action, resource) when { context has flow && context.flow.high < 2 };'
    for policy, same in ((PERMIT.format(""), 1), (away, 0)):
        assert Replay(InForce(snapshot(policy)), {}).all([record]).same == same
    assert isinstance(here.audit, SimpleNamespace)


def test_names_that_others_chose_are_bounded_in_the_log_and_hold_no_secret() -> None:
    here = recording(PERMIT.format(""))
    secret = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
    did = ("infer", f"read {secret}", "spiffe://maple.local/user/ada", "x" * 5_000)
    flow = FlowFacts(2, True, did)
    asked = dataclasses.replace(intent(caller=bot(), model=None), circumstances=Circumstances(flow=flow))
    told = record_of(here, asked)["facts"]["flow"]
    assert told["did"][:1] == ["infer"]
    assert secret not in str(told)
    assert "ada" not in str(told)
    assert all(len(one) <= MAX_CHARACTERS for one in told["did"])


def test_what_was_done_before_is_left_out_where_it_is_much_and_then_it_is_unknown() -> None:
    here = recording(PERMIT.format(""))
    many = tuple(f"tool{number}" for number in range(MAX_DID + 1))
    asked = [
        dataclasses.replace(
            intent(caller=bot(), model=None), circumstances=Circumstances(flow=FlowFacts(2, True, did))
        )
        for did in (many, many[:-1])
    ]
    records = [record_of(here, one) for one in asked]
    assert "did" not in records[0]["facts"]["flow"]
    assert records[1]["facts"]["flow"]["did"] == list(many[:-1])
    after = (
        PERMIT.format("")
        + """@id("f") forbid(principal, action, resource)
        when { context has flow && context.flow.did.contains("tool64") };"""
    )
    replayed = Replay(InForce(snapshot(after)), {}).all(records)
    assert (replayed.same, replayed.unknown) == (1, {"did": 1})
    for policies, same in ((PERMIT.format(""), 2), (after.replace('did.contains("tool64")', "untrusted"), 0)):
        replayed = Replay(InForce(snapshot(policies)), {}).all(records)
        assert (replayed.same, replayed.unknown) == (same, {})


def record_of(here: Any, asked: Any) -> dict[str, Any]:
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    permit = here.engine.decide(call.asks(asked), NOW, call.id)
    row: dict[str, Any] = json.loads(json.dumps(started(call, asked, permit, here).to_dict()))
    return row


def test_what_is_only_observed_is_on_record_and_explained() -> None:
    watched = '@id("later") @mode("observe") forbid(principal, action, resource);'
    here = recording(PERMIT.format("") + watched)
    asked = intent(caller=bot(), model=None)
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    permit = here.engine.decide(call.asks(asked), NOW, call.id)
    record: dict[str, Any] = json.loads(json.dumps(started(call, asked, permit, here).to_dict()))
    assert record["facts"]["observed"] == ["later"]
    assert "  not enforced later would have refused it" in explain(record, {}).splitlines()
