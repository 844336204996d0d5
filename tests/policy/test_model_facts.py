"""What policies can read of a model: its digest, whether its owner approved it, and that no signature is verified."""

import dataclasses

import pytest

from remit.policy import Engine, RefusedError
from tests.policy.worlds import NOW, intent, snapshot

EVERYONE = '@id("all") permit(principal, action, resource);'
APPROVED = '@id("approved-only") forbid(principal, action, resource) unless { context.model.approved };'
SIGNED = '@id("signed-only") forbid(principal, action, resource) unless { context.model.signed };'


def test_a_policy_can_ask_for_approval_and_says_whom_to_ask() -> None:
    engine = Engine(snapshot(EVERYONE, APPROVED))
    with pytest.raises(RefusedError) as caught:
        engine.decide(intent(), NOW, "01M7")
    assert caught.value.rule == "approved-only"
    assert "had approved" in caught.value.missing
    engine.decide(dataclasses.replace(intent(), model_approved=True), NOW, "01M7")


def test_nothing_is_signed_as_no_signature_is_verified() -> None:
    engine = Engine(snapshot(EVERYONE, SIGNED))
    with pytest.raises(RefusedError):
        engine.decide(dataclasses.replace(intent(), model_approved=True), NOW, "01M7")


def test_an_intent_says_whether_it_was_approved() -> None:
    assert intent().digest != dataclasses.replace(intent(), model_approved=True).digest
