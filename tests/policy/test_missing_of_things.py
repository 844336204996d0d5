"""What would have to be otherwise for a refused call of a tool: decided again, never guessed."""

import dataclasses
from typing import Any

import pytest

from remit.detect import Label
from remit.policy import Action, Engine, RefusedError
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts
from remit.policy.thing import ThingKind
from tests.policy.test_things import SENDS, asked, call, engine

HERE = '@id("here")\npermit (principal, action == Action::"call_tool", resource) when { context.presence == "here" };'
CLEAN = HERE.replace('context.presence == "here"', "context has flow && !context.flow.untrusted")
HUMAN = HERE.replace('context.presence == "here"', 'context has args && context.args.human.contains("path")')
NEVER = '@id("never")\nforbid (principal, action, resource);'


def missing(decides: Engine, **so: Any) -> str:
    thing = decides.thing(ThingKind.TOOL, "mail/send")
    with pytest.raises(RefusedError) as caught:
        decides.decide(
            dataclasses.replace(asked(thing, Action.CALL_TOOL), circumstances=Circumstances(**so)), 1.8e9, "d"
        )
    return caught.value.missing.partition(" (")[0]


def test_what_is_missing_is_told() -> None:
    untrusted = Arguments(("path",), untrusted=("path",))
    assert missing(engine(HERE)) == "the person who answers for the caller were here"
    assert missing(engine(HUMAN), args=untrusted) == "what it says of path came from a person's own words"
    assert missing(engine(CLEAN), flow=FlowFacts(0, True)) == "no content from outside had come into the task"
    assert missing(engine(HERE + NEVER)) == ""
    assert (
        missing(engine(CLEAN.replace("!context.flow.untrusted", "context.flow.high == 2")), flow=FlowFacts(0)) == ""
    )


def test_of_the_flow_the_least_that_helps_is_told() -> None:
    decides = engine(SENDS)
    for refused, said in (
        ({"untrusted": ("recipient",)}, "what it says of recipient came from a trusted source or a person"),
        ({"high": 3}, "nothing above confidential had come into the task"),
        ({"high": 3, "to": "unknown"}, "nothing above public had come into the task"),
        ({"high": 3, "untrusted": ("recipient",)}, ""),
    ):
        with pytest.raises(RefusedError) as caught:
            call(decides, **refused)
        assert caught.value.missing.partition(" (")[0] == said


OWNED = HERE.replace('context.presence == "here"', "principal.owner == resource.owner")
TASKED = HERE.replace('context.presence == "here"', "context has task")
FAILS = HERE.replace('context.presence == "here"', "9223372036854775807 + 1 == 0")
STRICT = '@id("s")\n@on_restricted("refuse")\npermit (principal, action, resource);'


@pytest.mark.parametrize("policy", [HERE, CLEAN, NEVER, OWNED, TASKED, FAILS, STRICT, HERE + NEVER])
def test_of_what_nobody_owns_nobody_is_named(policy: str) -> None:
    decides = engine(policy)
    thing = decides.thing(ThingKind.TOOL, "nobody/lists-this")
    so = Circumstances(flow=FlowFacts(3, True))
    found = (("rule", Label.RESTRICTED),)
    with pytest.raises(RefusedError) as caught:
        decides.decide(dataclasses.replace(asked(thing, Action.CALL_TOOL), circumstances=so, found=found), 1.8e9, "d")
    assert "whoever writes the policies on this machine" in caught.value.hint or "must be there" in caught.value.hint
    assert "the owner, " not in caught.value.hint
