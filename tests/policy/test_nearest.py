"""How far a refusal is from being allowed: condition by condition, and asked again."""

import dataclasses

import pytest
from hypothesis import given

from remit.detect import Label
from remit.policy import Action, PolicyFile, Snapshot, load
from remit.policy.conditions import conditions
from remit.policy.in_force import InForce
from remit.policy.intent import Intent
from remit.policy.nearest import Distance, distance
from remit.policy.outcome import Outcome
from remit.policy.question import Question, of_intent
from tests.oracle import decide as oracle
from tests.policy.generated import households
from tests.policy.test_oracle import QUICK
from tests.policy.worlds import NOW, bot, curl, intent, snapshot

HEAD = '@id("p")\npermit (principal, action, resource is Workload)\n'
OWN = '@id("own")\npermit (principal, action == Action::"infer", resource is Workload)\nwhen {\n'
OWN += '  principal.owner == resource.owner &&\n  context.presence == "here"\n};'
BOTS = '@id("bots")\n@approval("owner")\npermit (principal, action, resource is Workload)'
BOTS += ' when { principal.kind == "agent" };'
NIGHT = '@id("night")\nforbid (principal, action, resource) when { context.time.hour < 6 };'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("when { a && b }", ["a", "b"]),
        ("when { a } when { b }", ["a", "b"]),
        ("when { a || b && c }", ["a || b && c"]),
        ("when { (a || b) && c }", ["(a || b)", "c"]),
        ("when { if a then b else c && d }", ["if a then b else c && d"]),
        ("unless { a || b && c }", ["!(a)", "!(b && c)"]),
        ("unless { a && b }", ["!(a && b)"]),
        ("when { [a && b].contains(c) && d.has.when }", ["[a && b].contains(c)", "d.has.when"]),
        ('when { a // && "no"\n && b\n== "x && y" }', ["a", 'b == "x && y"']),
        ("", []),
    ],
)
def test_conditions_are_cut_where_each_must_be_so(body: str, expected: list[str]) -> None:
    for name in "abcd":
        body = body.replace(f" {name}", f" context.{name}").replace(f"({name}", f"(context.{name}")
        body = body.replace(f"[{name}", f"[context.{name}")
    policy = dataclasses.replace(load([PolicyFile("p.cedar", HEAD + ";")]).policies[0], text=HEAD + body + ";")
    found = conditions(policy)
    plain = [one.text.replace("context.", "") for one in found.each]
    assert plain == expected
    assert found.scope == "permit (principal, action, resource is Workload)"


def test_each_has_its_own_line() -> None:
    policy = load([PolicyFile("p.cedar", "// one\n" + OWN)]).policies[0]
    assert [(one.text, one.line) for one in conditions(policy).each] == [
        ("principal.owner == resource.owner", 5),
        ('context.presence == "here"', 6),
    ]


def asked(in_force: InForce, one: Intent) -> Question:
    own = in_force.world.workloads[one.resource]
    return of_intent(one, in_force.owner(one.caller), own, None, "C")


def far(one: Intent, *policies: str) -> Distance:
    in_force = InForce(snapshot(*policies))
    return distance(in_force, asked(in_force, one), ())


def test_what_failed_is_named_and_what_would_come_out() -> None:
    said = far(intent(Action.INFER, curl("bob")), OWN, BOTS)
    assert said.now.outcome is Outcome.REFUSED
    bots, own = said.near
    assert (bots.policy.id, [one.text for one in bots.failed]) == ("bots", ['principal.kind == "agent"'])
    assert bots.then.outcome is Outcome.NEEDS_APPROVAL
    assert [one.text for one in own.failed] == ["principal.owner == resource.owner", 'context.presence == "here"']
    assert own.then.outcome is Outcome.ALLOWED
    ada = far(intent(Action.INFER, curl("ada")), OWN)
    assert [one.text for one in ada.near[0].failed] == ['context.presence == "here"']


def test_a_forbid_is_named_with_what_comes_out_without_it() -> None:
    said = far(intent(Action.INFER, bot()), BOTS, NIGHT)
    (night,) = said.against
    assert (night.policy.id, night.without.outcome) == ("night", Outcome.NEEDS_APPROVAL)
    assert said.near == ()
    still = far(intent(Action.INFER, curl("ada")), OWN, NIGHT)
    assert still.near[0].then.outcome is Outcome.REFUSED
    assert still.near[0].then.rule == "night"


def test_a_permit_for_others_is_not_named_and_what_is_allowed_has_no_distance() -> None:
    others = BOTS.replace("(principal,", '(principal == Workload::"spiffe://maple.local/agent/x",')
    assert far(intent(Action.INFER, curl("bob")), others).near == ()
    assert far(intent(Action.INFER, bot()), BOTS) == Distance(far(intent(Action.INFER, bot()), BOTS).now)


def test_what_was_found_may_be_what_refuses() -> None:
    strict = '@id("s")\n@on_restricted("refuse")\npermit (principal, action, resource is Workload);'
    in_force = InForce(snapshot(strict))
    said = distance(in_force, asked(in_force, intent()), [Label.RESTRICTED])
    assert (said.now.outcome, said.now.rule, said.near) == (Outcome.REFUSED, "s", ())


@QUICK
@given(households(tasked=False))
def test_it_says_what_the_engine_says_and_what_it_promises_holds(case: tuple[Snapshot, Intent]) -> None:
    snap, one = case
    in_force = InForce(snap)
    if one.resource not in in_force.world.workloads:
        return
    question = asked(in_force, one)
    said = distance(in_force, question, ())
    assert said.now.outcome is _outcome(in_force, question)
    for near in said.near:
        assert near.failed
        for one_condition in near.failed:
            assert not holds(one_condition.text, snap, one)
        for one_condition in (each for against in said.against for each in against.held):
            assert holds(one_condition.text, snap, one)


def holds(condition: str, snap: Snapshot, one: Intent) -> bool:
    """By plain Cedar, from strings."""
    text = f'@id("c") permit (principal, action, resource) when {{ {condition} }};'
    alone = dataclasses.replace(snap, policy_files=(PolicyFile("c.cedar", text),))
    return oracle.decide(alone, dataclasses.replace(one, found=()), NOW).allowed


def _outcome(in_force: InForce, question: Question) -> Outcome:
    verdict = in_force.ask(question)
    return Outcome.ALLOWED if verdict.allowed and not verdict.errors else Outcome.REFUSED
