"""What somebody may do, as `whois` shows it: by the hour it is, with whoever is there, on this endpoint as it is."""

import dataclasses

import pytest

from remit.policy import Action, Moment, Snapshot
from remit.policy.in_force import InForce
from remit.policy.permissions import permissions
from tests.policy.worlds import LLAMA, NOW, sid, snapshot


def infers(snap: Snapshot, moment: Moment) -> str:
    asked = permissions(InForce(snap), sid("user", "ada"), "ada", LLAMA, NOW, moment)
    return asked[Action.INFER].answer


@pytest.mark.parametrize(("hour", "weekday", "answer"), [(10, 1, "yes"), (3, 1, "no"), (10, 7, "no")])
def test_it_is_asked_at_this_hour(hour: int, weekday: int, answer: str) -> None:
    by_day = "context.time.hour >= 9 && context.time.weekday < 6"
    snap = snapshot(f'@id("day") permit (principal, action, resource is Workload) when {{ {by_day} }};')
    assert infers(snap, Moment(hour, weekday)) == answer


def test_it_is_asked_with_whoever_is_there_and_of_this_endpoint() -> None:
    conditions = 'context.presence == "here" && context.facts.contains("disk-encrypted")'
    snap = snapshot(f'@id("here") permit (principal, action, resource is Workload) when {{ {conditions} }};')
    assert infers(snap, Moment()) == "no"
    there = dataclasses.replace(snap, presence={"ada": "here"}, facts=("disk-encrypted",))
    assert infers(there, Moment()) == "yes"
    assert infers(dataclasses.replace(there, presence={"bob": "here"}), Moment()) == "no"


def test_what_somebody_must_agree_to_is_told_from_what_takes_a_task() -> None:
    asked = '@id("asked") @approval("owner") permit (principal, action == Action::"disclose", resource);'
    tasked = '@id("tasked") permit (principal, action == Action::"administer", resource) when { context has task };'
    told = permissions(InForce(snapshot(asked + tasked)), sid("user", "ada"), "ada", LLAMA, NOW)
    assert told[Action.DISCLOSE].answer == "needs approval"
    assert told[Action.ADMINISTER].answer == "within a task"
    assert told[Action.INFER].answer == "no"
