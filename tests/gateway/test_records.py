"""What the log keeps of what callers say."""

from types import SimpleNamespace
from typing import Any

from remit.audit import DigestKey
from remit.detect import Detector
from remit.gateway.call import Call
from remit.gateway.record import refused
from remit.policy import Action, Engine, Snapshot
from remit.redaction import Scrubber
from tests.policy.worlds import LLAMA, NOW, curl, intent, snapshot, task

TOKEN = "ghp_" + "A1b2C3d4E5" * 4


def zone_of(snap: Snapshot) -> Any:
    """As much of one as a record is made of."""
    scrubber, digests = Scrubber(Detector()), DigestKey(bytes(32))
    return SimpleNamespace(snapshot=snap, engine=Engine(snap), scrubber=scrubber, digests=digests)


def test_a_secret_in_the_place_of_a_model_s_name_is_masked_wherever_it_stood() -> None:
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    call.asks(intent(model=TOKEN, route="GET /v1/models/{model...}"))  # in its path: the body holds nothing
    record = refused(call, zone_of(snapshot()), rule="default-deny", reason="no")
    assert record.model == "[REDACTED:github-token]"


def test_what_policies_read_of_the_task_that_came_with_it_is_kept() -> None:
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    call.asks(intent(Action.DISCLOSE, curl(task="t1")))
    record = refused(call, zone_of(snapshot(tasks=[task("infer")])), rule="remit:outside-task", reason="no")
    assert record.facts["task"] == {
        "declared": True, "on": str(LLAMA), "actions": ["infer"], "fits": True, "ceiling": 3, "profile": "",
        "tools": [],
    }  # fmt: skip
    assert "task" not in refused(call, zone_of(snapshot()), rule="remit:outside-task", reason="no").facts
