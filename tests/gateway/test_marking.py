"""A call's own part in its task's mark: asked of control before it goes on, refused where control can't keep it."""

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from remit.detect import Label
from remit.errors import StateError
from remit.gateway.asking import Questions
from remit.gateway.circumstances import circumstances_of
from remit.gateway.consider import WithoutControlError
from remit.gateway.marking import raise_for_answer, with_what_came_in
from remit.gateway.zone import Zone
from remit.policy import Action, FlowFacts, Intent, RefusedError
from remit.policy.link import Answer, FromWorker, Raise
from remit.tasks import Task
from tests.gateway.test_policy_edits import PERMIT, zone
from tests.policy.worlds import NOW, curl, intent, snapshot, task

BROUGHT = {"messages": [{"role": "tool", "content": "x"}]}
SAID = {"messages": [{"role": "user", "content": "x"}]}


class Control:
    """Keeps each mark and puts it in force, then answers; `refuses` says why it doesn't."""

    def __init__(self, *tasks: Task) -> None:
        self.asked: list[Raise] = []
        self.refuses = ""
        here = zone(PERMIT.format(""))
        here.engine = type(here.engine)(snapshot(PERMIT.format(""), tasks=tasks))
        self.zone: Zone = dataclasses.replace(here, questions=Questions(self._hear))

    def _hear(self, message: FromWorker) -> None:
        if not isinstance(message, Raise):
            return
        self.asked.append(message)
        if not self.refuses:
            self._put(message)
        said = {"refused": self.refuses} if self.refuses else {}
        asyncio.get_running_loop().call_soon(self.zone.questions.answered, Answer(message.ask, said))

    def _put(self, message: Raise) -> None:
        before = self.zone.snapshot
        tasks = [
            dataclasses.replace(one, high=Label(message.high), untrusted=message.untrusted)
            if one.id == message.task
            else one
            for one in before.tasks
        ]
        self.zone.put(dataclasses.replace(before, epoch=before.epoch + 1, tasks=tuple(tasks)))

    def asks(
        self,
        within: str | None = None,
        launched: str | None = None,
        *labels: Label,
        action: Action = Action.INFER,
    ) -> Intent:
        caller = dataclasses.replace(curl(), task=within)
        assert caller.process is not None
        caller = dataclasses.replace(caller, process=dataclasses.replace(caller.process, task=launched))
        so = circumstances_of(caller, self.zone.engine, NOW)
        found = tuple((f"rule-{label}", label) for label in labels)
        return dataclasses.replace(intent(action, caller), found=found, circumstances=so)

    def comes(self, asked: Intent, body: Any = SAID, label: Label = Label.INTERNAL) -> FlowFacts | None:
        return asyncio.run(with_what_came_in(asked, an_ask(body, label), self.zone)).circumstances.flow

    def answers(self, asked: Intent, label: Label) -> None:
        asyncio.run(raise_for_answer(asked, an_ask(SAID, label), self.zone))


def an_ask(body: Any, label: Label = Label.INTERNAL) -> Any:
    return SimpleNamespace(forward=body, workload=SimpleNamespace(label=label, name="llama"))


MINE = task("infer", named="t-1")
OTHER = task("infer", named="t-2")
BOBS = task("infer", named="t-3", human="bob")


def test_without_a_task_nothing_is_asked() -> None:
    control = Control(MINE)
    assert control.comes(control.asks(None, None, Label.RESTRICTED), BROUGHT) is None
    control.answers(control.asks(), Label.RESTRICTED)
    assert control.asked == []


def test_it_is_decided_with_what_it_brought() -> None:
    control = Control(MINE, OTHER)
    asked = control.asks("t-1", None, Label.CONFIDENTIAL, Label.INTERNAL)
    assert asked.circumstances.flow == FlowFacts(0, False)
    assert control.comes(asked, BROUGHT) == FlowFacts(2, True)
    assert [(one.task, one.high, one.untrusted) for one in control.asked] == [("t-1", "confidential", True)]
    assert control.asks("t-2").circumstances.flow == FlowFacts(0, False)


def test_what_is_known_of_it_is_not_asked_again() -> None:
    control = Control(MINE)
    for _ in range(3):
        control.comes(control.asks("t-1", None, Label.INTERNAL), BROUGHT)
        control.answers(control.asks("t-1"), Label.CONFIDENTIAL)
    assert len(control.asked) == 2


def test_a_program_that_was_launched_for_a_task_is_part_of_it_without_its_token() -> None:
    control = Control(MINE, OTHER, BOBS)
    assert control.comes(control.asks(None, "t-1"), BROUGHT) == FlowFacts(0, True)
    assert control.comes(control.asks("t-2", "t-1", Label.INTERNAL)) == FlowFacts(1, True)
    assert [one.task for one in control.asked] == ["t-1", "t-2", "t-1"]
    assert control.comes(control.asks("t-3", "t-3"), BROUGHT) is None, "another person's task is none of theirs"


def test_whether_a_server_is_well_marks_nothing() -> None:
    control = Control(MINE)
    control.answers(control.asks("t-1", action=Action.HEALTH), Label.RESTRICTED)
    control.answers(control.asks("t-1", action=Action.LIST), Label.RESTRICTED)
    assert control.asked == []
    control.answers(control.asks("t-1", action=Action.DISCLOSE), Label.CONFIDENTIAL)
    assert [one.high for one in control.asked] == ["confidential"]


def test_a_task_is_not_answered_with_more_than_its_ceiling() -> None:
    control = Control(dataclasses.replace(MINE, ceiling=Label.INTERNAL))
    assert control.comes(control.asks("t-1")) == FlowFacts(0, False)
    with pytest.raises(RefusedError, match="llama may answer with confidential data; task t-1 takes up to internal"):
        control.comes(control.asks("t-1"), BROUGHT, Label.CONFIDENTIAL)
    assert control.asked[-1].untrusted, "what it brought is in it all the same"
    control.comes(control.asks("t-1", action=Action.LIST), SAID, Label.CONFIDENTIAL)
    control.comes(Control().asks(None), SAID, Label.RESTRICTED)


def test_what_control_does_not_keep_goes_nowhere() -> None:
    control = Control(MINE)
    control.refuses = "the disk is full"
    with pytest.raises(WithoutControlError, match="the disk is full") as refused:
        control.comes(control.asks("t-1"), BROUGHT)
    assert (refused.value.status, refused.value.rule) == (503, "control-gone")
    with pytest.raises(WithoutControlError):
        control.answers(control.asks("t-1"), Label.CONFIDENTIAL)
    control.answers(control.asks("t-1"), Label.PUBLIC)


def test_with_control_gone_only_what_raises_nothing_goes_on() -> None:
    control = Control(dataclasses.replace(MINE, high=Label.INTERNAL, untrusted=True))
    control.zone.questions.control_gone()
    assert control.comes(control.asks("t-1"), BROUGHT) == FlowFacts(1, True)
    control.answers(control.asks("t-1"), Label.INTERNAL)
    with pytest.raises(WithoutControlError, match="gone") as refused:
        control.comes(control.asks("t-1", None, Label.RESTRICTED))
    assert isinstance(refused.value.__cause__, StateError)
