"""What a call was decided by is in its record, so that it can be decided again; contents are not."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

from remit.audit.keys import DigestKey
from remit.gateway.call import Call
from remit.gateway.record import started
from remit.policy import explain
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts
from remit.policy.in_force import InForce
from remit.policy.replay import Replay
from tests.gateway.test_policy_edits import PERMIT, zone
from tests.policy.worlds import LLAMA, NOW, bot, intent, snapshot


def test_a_start_record_has_the_facts_and_is_decided_again_by_them() -> None:
    here = dataclasses.replace(zone(PERMIT.format("")), digests=DigestKey(b"key"))
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


def test_what_is_only_observed_is_on_record_and_explained() -> None:
    watched = '@id("later") @mode("observe") forbid(principal, action, resource);'
    here = dataclasses.replace(zone(PERMIT.format("") + watched), digests=DigestKey(b"key"))
    asked = intent(caller=bot(), model=None)
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    permit = here.engine.decide(call.asks(asked), NOW, call.id)
    record: dict[str, Any] = json.loads(json.dumps(started(call, asked, permit, here).to_dict()))
    assert record["facts"]["observed"] == ["later"]
    assert "  not enforced later would have refused it" in explain(record, {}).splitlines()
