"""Zero standing privilege: without a task the starter policies let people use their own models, and nothing else."""

import dataclasses

import pytest

from remit.detect import Label
from remit.policy import Action, Engine, PolicyFile, RefusedError
from remit.policy.catalogue import NAME
from remit.policy.circumstances import FlowFacts
from remit.policy.permit import ApprovalNeededError
from remit.policy.supposed import ON
from remit.policy.thing import ThingKind
from remit.tasks import Constraint, Task, ToolGrant
from tests.policy.test_things import PLACE, asked
from tests.policy.worlds import LLAMA, NOW, STARTER, curl, intent, snapshot, task

STANDING = {Action.INFER, Action.EMBED, Action.LIST, Action.HEALTH}
CATALOGUE = """
[tool."files/read"]
owner = "ada"
side_effects = false
[tool."mail/send"]
owner = "ada"
[tool."bobs/tool"]
owner = "bob"
side_effects = false
[source.wiki]
owner = "ada"
label = "confidential"
"""
FILES = (PolicyFile(NAME, CATALOGUE), STARTER)
READ = ToolGrant("files/read", (("path", Constraint(beneath=("/home",))),))
LISTS = dataclasses.replace(
    task("call_tool", "retrieve"),
    tools=(READ, ToolGrant("mail/send"), ToolGrant("bobs/*")),
    ceiling=Label.CONFIDENTIAL,
)


def outcome(action: Action, what: str, tasks: tuple[Task, ...] = (), path: str = "/home/a", high: int = 0) -> str:
    """Of ada's own process, in the task if there is one."""
    engine = Engine(snapshot(files=FILES, tasks=tasks))
    caller = curl(task=tasks[0].id if tasks else None)
    if action in ON:
        thing = engine.thing(ON[action], what)
        made = asked(thing, action, flow=FlowFacts(high))
        made = dataclasses.replace(made, caller=caller, resource=PLACE, arguments={"path": path})
    else:
        made = intent(action, caller, LLAMA)
    try:
        engine.decide(made, NOW, "d")
    except ApprovalNeededError:
        return "needs approval"
    except RefusedError as refused:
        return refused.rule
    return "allowed"


@pytest.mark.parametrize("action", [one for one in Action if one not in {Action.SAMPLE, Action.ELICIT}])
def test_without_a_task_only_ones_own_models_are_used(action: Action) -> None:
    own = {ThingKind.TOOL: "files/read", ThingKind.SOURCE: "wiki"}
    expected = "allowed" if action in STANDING else "default-deny"
    assert outcome(action, own.get(ON[action], "x") if action in ON else "") == expected


@pytest.mark.parametrize(
    ("action", "what", "expected"),
    [
        (Action.CALL_TOOL, "files/read", "allowed"),
        (Action.CALL_TOOL, "mail/send", "needs approval"),
        (Action.CALL_TOOL, "bobs/tool", "default-deny"),
        (Action.CALL_TOOL, "bobs/unlisted", "default-deny"),
        (Action.RETRIEVE, "wiki", "allowed"),
        (Action.READ_RESOURCE, "wiki", "remit:outside-task"),
        (Action.EXPORT, "x", "remit:outside-task"),
        (Action.INFER, "", "remit:outside-task"),
    ],
)
def test_a_task_adds_what_it_lists_of_what_its_person_owns(action: Action, what: str, expected: str) -> None:
    assert outcome(action, what, (LISTS,)) == expected


def test_outside_what_the_task_lists_nothing_is_allowed() -> None:
    assert outcome(Action.CALL_TOOL, "files/read", (LISTS,), path="/etc/shadow") == "default-deny"
    assert outcome(Action.CALL_TOOL, "files/read", (LISTS,), high=3) == "default-deny"
    lower = dataclasses.replace(LISTS, ceiling=Label.INTERNAL)
    assert outcome(Action.RETRIEVE, "wiki", (lower,)) == "default-deny"
