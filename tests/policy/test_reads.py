"""What policies read of the context, and that leaving out the rest changes no decision."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.policy import PolicyFile, load
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts, Moment
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.question import Question, in_a_task, of_intent
from remit.policy.reads import reads
from remit.policy.slicing import Slice
from remit.policy.verdict import ask
from tests.policy.worlds import LLAMA, curl, intent, snapshot, workload

SEEN = Circumstances(
    Moment(13, 2), "here", ("encrypted",), args=Arguments(("url",), untrusted=("url",)), flow=FlowFacts(1, True)
)
CONDITIONS = {
    'context.grade == "C"': {"grade"},
    "context has task": {"task"},
    'context has task.tools && context.task.tools.contains("x")': {"task"},
    "context has flow && context.flow.untrusted": {"flow"},
    'context["presen\\u{63}e"] == "here"': {"presence"},
    'if context.stream then true else context.asked like "*"': {"stream", "asked"},
    "{a: context.time}.a.hour > 12": {"time"},
    '[context.proof, ""].contains("unix")': {"proof"},
    "context == context": None,
    "{a: context}.a.exhaustive": None,
    "(if principal.enrolled then context else context).exhaustive": None,
    "principal.owner == resource.owner": set(),
    '"context.grade" like "*grade"': set(),
}


def policy(condition: str, effect: str = "permit", number: int = 0, clause: str = "when") -> str:
    return f'@id("p{number}")\n{effect} (principal, action, resource is Workload) {clause} {{ {condition} }};'


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS.items())
@pytest.mark.parametrize("clause", ["when", "unless"])
def test_every_name_that_is_read_is_found(condition: str, expected: set[str] | None, clause: str) -> None:
    loaded = load([PolicyFile("p.cedar", policy(condition, clause=clause))])
    assert reads(loaded.policies) == expected


def whole(some: Slice) -> Slice:
    return Slice(some.policies, some.compiled, some.observed, some.watched)


def question(*, tasked: bool, seen: bool) -> Question:
    asked = intent(Action.INFER, curl("ada"))
    made = of_intent(asked, "ada", workload(LLAMA, "ada"), None, "C")
    made = in_a_task(made) if tasked else made
    return dataclasses.replace(made, circumstances=SEEN) if seen else made


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["permit", "permit", "forbid"]), st.sampled_from([*CONDITIONS]), st.booleans()),
        min_size=1, max_size=5,
    ),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_what_no_policy_reads_decides_nothing(rows: list[tuple[str, str, bool]], tasked: bool, seen: bool) -> None:
    texts = [policy(one, effect, at, "unless" if un else "when") for at, (effect, one, un) in enumerate(rows)]
    in_force = InForce(snapshot(*texts))
    asked = question(tasked=tasked, seen=seen)
    some = in_force.slice(asked)
    entities = in_force.world.entities(asked.principal, asked.owner, enrolled=asked.enrolled)
    assert ask(asked, some, entities) == ask(asked, whole(some), entities)
