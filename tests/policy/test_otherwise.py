"""What no policy reads is not put to Cedar again; what any reads is: with the same answers as asking each time."""

from dataclasses import fields

import pytest

from remit.policy import Snapshot
from remit.policy.circumstances import Circumstances
from remit.policy.in_force import InForce
from remit.policy.missing import CHANGES, missing
from remit.policy.otherwise import _CIRCUMSTANCES, _KEYS, _REST
from remit.policy.question import Question
from remit.policy.supposed import Supposed, question_of
from remit.policy.verdict import Verdict
from tests.policy.worlds import snapshot

ON = (("infer", "llama-4121"), ("administer", "llama-4121"), ("call_tool", "unknown"), ("access", "unknown"))
POLICIES = (
    "context.exhaustive",
    "context.model.approved",
    "context has task",
    'context.presence == "here"',
    'context has task && context.task.fits && !context.found.contains("aws")',
    "context has flow && context.flow.high < 2",
    'context has args && !context.args.untrusted.contains("recipient")',
    "principal.owner == resource.owner && context.model.known",
)
GIVEN = (
    {"exhaustive": False, "model": {"known": False}, "found": ["aws"], "found_labels": ["restricted"]},
    {"flow": {"high": "restricted", "untrusted": True}, "args": {"untrusted": ["recipient"]}, "presence": "away"},
)


def permits(condition: str) -> Snapshot:
    return snapshot(f'@id("p") @reason("r")\npermit (principal, action, resource) when {{ {condition} }};')


@pytest.mark.parametrize("condition", POLICIES)
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("asked", ON)
def test_what_is_missing_is_the_same(condition: str, given: dict[str, object], asked: tuple[str, str]) -> None:
    in_force = InForce(permits(condition))
    question = question_of(in_force, Supposed("bob", asked[0], asked[1], given))
    verdict = in_force.ask(question)
    if not verdict.allowed:
        quick = missing(question, "it", in_force.otherwise(question, verdict))
        assert quick == missing(question, "it", in_force.ask)


def test_cedar_is_asked_of_what_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    in_force = InForce(permits("context.model.known"))
    question = question_of(in_force, Supposed("ada", "infer", "llama-4121", {"model": {"known": False}}))
    verdict = in_force.ask(question)
    asked: list[Question] = []

    def ask(_: InForce, changed: Question) -> Verdict:
        asked.append(changed)
        return verdict

    monkeypatch.setattr(InForce, "ask", ask)
    assert missing(question, "it", in_force.otherwise(question, verdict)) is None
    assert len(asked) < len(CHANGES)
    assert all(changed.digest != question.digest or changed.approved != question.approved for changed in asked)


def test_each_part_of_a_question_is_told_apart() -> None:
    known = {*_REST, *(name for name, _ in _KEYS), "circumstances"}
    assert known == {one.name for one in fields(Question)}
    assert {name for name, _ in _CIRCUMSTANCES} == {one.name for one in fields(Circumstances)}
