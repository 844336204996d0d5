"""`remit explain`: a recorded decision, told to a person."""

from typing import Any

import pytest

from remit.policy import Action, Engine, RefusedError, explain, explain_json, load
from tests.policy.worlds import NOW, STARTER, curl, intent, snapshot

NAMES = {"p-ada": "ada"}


def recorded(asked: Any, snap: Any = None) -> dict[str, Any]:
    """A decision as the log has it."""
    snap = snap or snapshot()
    row: dict[str, Any] = {
        "kind": "start", "outcome": "allowed", "id": "01JD9Q7", "person": asked.caller.person,
        "workload": str(asked.caller.spiffe_id), "proof": asked.caller.proof.value,
        "process": asked.caller.process.to_dict(), "task": asked.caller.task, "action": asked.action.value,
        "resource": str(asked.resource), "route": asked.route, "model": asked.model,
        "model_digest": asked.model_digest, "policies": [], "rule": "", "reason": "", "missing": "",
        "found": {}, "policy_set": snap.policy_set, "epoch": snap.epoch, "grade": snap.grade,
    }  # fmt: skip
    try:
        policies = Engine(snap).decide(asked, NOW, "01JD9Q7").policies
    except RefusedError as refusal:
        policies = refusal.policies
        row |= {"outcome": "refused", "rule": refusal.rule, "reason": str(refusal), "missing": refusal.missing}
    row["policies"] = [{"id": ref.id, "file": ref.file, "line": ref.line, "reason": ref.reason} for ref in policies]
    return row


def test_a_refusal_says_who_asked_how_known_what_decided_and_what_would_allow_it() -> None:
    record = recorded(intent(Action.DISCLOSE, route="GET /props", model=None)) | {
        "index": 212,
        "shard": "inference-0",
    }
    digest = record["policy_set"][7:19]
    assert explain(record, NAMES, load([STARTER])) == (
        "refused   disclose on llama-4121 by /usr/bin/curl (pid 5120, uid 1000 ada), no task\n"
        "  asked        GET /props\n"
        "  known by     the loopback socket's holder (kernel), sha256:777777777777…, spiffe://maple.local/user/ada\n"
        "  decided by   nothing permits it (starter.cedar: 8 policies, 1 of `disclose`)\n"
        "  would be allowed if  the caller had a task that allows `disclose` on llama-4121 (starter.cedar:61)\n"
        "  inputs       model sha256:abababababab…\n"
        f"  policy set   sha256:{digest}…  ·  epoch 1  ·  grade C (advisory)  ·  record 212 of shard inference-0"
    )


def test_an_allowed_call_names_its_policies_and_their_reason() -> None:
    text = explain(recorded(intent()), NAMES)
    assert text.startswith("allowed   infer on llama-4121 by /usr/bin/curl")
    assert "decided by   owners-use (starter.cedar:23): owners use their own model servers" in text
    assert "would be allowed" not in text


def test_the_counts_are_left_out_when_the_policies_are_others_now() -> None:
    other = load([STARTER.__class__("other.cedar", STARTER.text)])
    assert "decided by   nothing permits it\n" in explain(recorded(intent(Action.DISCLOSE)), NAMES, other)


def test_a_built_in_rule_is_told_in_words() -> None:
    text = explain(recorded(intent(caller=curl(task="t9"))), NAMES)
    assert "task t9" in text
    assert "the caller's task does not cover it (remit:outside-task)" in text


def test_what_takes_an_approval_says_what_came_of_asking() -> None:
    reason = "`GET /props` discloses; it takes the owner's, ada's, approval to disclose llama: a person said no"
    record = {"outcome": "refused", "rule": "remit:approval-denied", "reason": reason}
    said = "  approval     it takes the owner's, ada's, approval to disclose llama: a person said no"
    assert f"{said} (remit:approval-denied)" in explain(record, {}).splitlines()
    agreed = {"outcome": "allowed", "facts": {"approval": {"id": "ap-1", "kind": "self-confirmed", "by": "p-1"}}}
    assert "  approval     self-confirmed by p-1, ap-1" in explain(agreed, {}).splitlines()


def test_what_would_have_taken_an_approval_was_not_refused() -> None:
    facts = {"observed": ["remit:approval-needed", "no-health"]}
    said = "it would have taken an approval; no-health would have refused it"
    assert f"  not enforced {said}" in explain({"outcome": "allowed", "facts": facts}, {}).splitlines()


def test_what_was_handed_on_names_every_hand() -> None:
    row = recorded(intent())
    assert "handed on" not in explain(row, NAMES)
    row["chain"] = ["spiffe://maple.local/agent/mail", "spiffe://maple.local/agent/search"]
    assert "\n  handed on    mail → search\n" in explain(row, NAMES)


def test_a_person_who_was_forgotten_stays_a_pseudonym() -> None:
    assert "(pid 5120, uid 1000 p-ada)" in explain(recorded(intent()), {})
    assert explain_json(recorded(intent()), {})["human"] is None
    assert explain_json(recorded(intent()), NAMES)["human"] == "ada"


@pytest.mark.parametrize("record", [{}, {"outcome": "refused", "process": None, "policies": None}])
def test_a_record_that_lacks_everything_is_still_told(record: dict[str, Any]) -> None:
    assert "an unidentified peer" in explain(record, {})


def test_a_process_name_can_not_write_to_the_terminal() -> None:
    record = recorded(intent())
    record["process"]["exe"] = "/tmp/\x1b[2Jevil\n"
    text = explain(record, NAMES)
    assert "\x1b" not in text
    assert r"/tmp/\x1b[2Jevil\n" in text
