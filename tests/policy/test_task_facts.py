"""What policies hear of a task: its tools, whether the call fits them, its ceiling and profile."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from remit.detect import Label
from remit.policy import Action, Engine, FlowFacts, Intent, PolicyFile, RefusedError
from remit.policy.catalogue import NAME
from remit.policy.circumstances import Circumstances
from remit.policy.permit import ApprovalNeededError
from remit.policy.thing import ThingKind
from remit.tasks import Constraint, ToolGrant
from tests.policy.worlds import NOW, curl, intent, sid, snapshot, task

CATALOGUE = '[tool."mail/send"]\n[tool."mail/read"]\n[destination.archive]\n[destination.elsewhere]\n'
FITTING = """
@id("fitting")
permit (principal, action in [Action::"call_tool", Action::"export"], resource)
when { context has task && context.task.fits && context.task.ceiling == 2 && context.task.profile == "mail" };
"""
PLACE = sid()
SEND = ToolGrant("mail/send", (("to", Constraint(host_in=("x.example",))),))
BOB: Mapping[str, Any] = {"to": "bob@x.example"}
EVE: Mapping[str, Any] = {"to": "eve@evil.example"}


def engine(policy: str = FITTING, tools: tuple[ToolGrant, ...] = (SEND,)) -> Engine:
    declared = replace(
        task("call_tool", "export", on=PLACE),
        tools=tools,
        ceiling=Label.CONFIDENTIAL,
        profile="mail",
        destinations=("archive",),
    )
    return Engine(snapshot(files=[PolicyFile(NAME, CATALOGUE), PolicyFile("p.cedar", policy)], tasks=[declared]))


def call(decides: Engine, tool: str, arguments: Mapping[str, Any] | None, to: str | None = None) -> Intent:
    made = intent(Action.CALL_TOOL, curl(task="t1"), PLACE, model=None, digest="unknown", route="call")
    thing = decides.thing(ThingKind.TOOL, tool)
    return replace(made, thing=thing, arguments=arguments, circumstances=Circumstances(destination=to))


def test_what_fits_the_task_is_permitted_and_nothing_else_whatever_was_decided_before() -> None:
    decides = engine()
    for _ in range(2):
        decides.decide(call(decides, "mail/send", BOB), NOW, "d1")
        decides.decide(call(decides, "mail/send", BOB, "archive"), NOW, "d1")
        for tool, arguments, to in (
            ("mail/send", EVE, None),
            ("mail/send", None, None),
            ("mail/send", {}, None),
            ("mail/read", BOB, None),
            ("nobody/listed", BOB, None),
            ("mail/send", BOB, "elsewhere"),
        ):
            with pytest.raises(RefusedError):
                decides.decide(call(decides, tool, arguments, to), NOW, "d2")


def test_a_task_that_lists_no_tool_fits_none() -> None:
    decides = engine(tools=())
    with pytest.raises(RefusedError):
        decides.decide(call(decides, "mail/send", BOB), NOW, "d1")


def test_what_is_sent_goes_where_the_task_says() -> None:
    decides = engine()
    for place, fine in (("archive", True), ("elsewhere", False), ("unlisted", False)):
        made = replace(call(decides, "mail/send", None), action=Action.EXPORT)
        out = replace(made, thing=decides.thing(ThingKind.DESTINATION, place))
        if fine:
            decides.decide(out, NOW, "d1")
        else:
            with pytest.raises(RefusedError):
                decides.decide(out, NOW, "d1")


def test_the_tools_are_named() -> None:
    names = (
        'permit (principal, action, resource) when { context has task && context.task.tools.contains("mail/send") };'
    )
    decides = engine('@id("named") ' + names)
    decides.decide(call(decides, "mail/send", BOB), NOW, "d1")


def test_what_the_task_does_not_list_is_refused_whatever_permits_it_unless_a_person_is_asked() -> None:
    permit = "permit (principal, action, resource);"
    decides = engine('@id("all") ' + permit)
    decides.decide(call(decides, "mail/send", BOB), NOW, "d1")
    for _ in range(2):  # also from the cache
        for tool, arguments, to in (
            ("mail/send", EVE, None),
            ("mail/read", BOB, None),
            ("mail/send", BOB, "elsewhere"),
        ):
            with pytest.raises(RefusedError) as refused:
                decides.decide(call(decides, tool, arguments, to), NOW, "d2")
            assert refused.value.rule == "remit:outside-task"
    asking = engine('@id("all") @approval("approver") ' + permit)
    with pytest.raises(ApprovalNeededError):
        asking.decide(call(asking, "mail/send", EVE), NOW, "d3")


def test_what_is_above_the_task_s_ceiling_is_refused() -> None:
    decides = engine('@id("all") permit (principal, action, resource);')
    fine, above = (replace(call(decides, "mail/send", BOB), circumstances=flowed(high)) for high in (2, 3))
    decides.decide(fine, NOW, "d1")
    with pytest.raises(RefusedError) as refused:
        decides.decide(above, NOW, "d2")
    assert refused.value.rule == "remit:outside-task"


def flowed(high: int) -> Circumstances:
    return Circumstances(flow=FlowFacts(high))


def test_arguments_are_part_of_what_is_approved() -> None:
    decides = engine()
    assert call(decides, "mail/send", BOB).digest != call(decides, "mail/send", EVE).digest
    assert call(decides, "mail/send", BOB).digest == call(decides, "mail/send", dict(BOB)).digest
