"""Sequence rules of docs/flow.md through the decision API: what was read decides what may be done after it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.detect import Label
from remit.policy.link import Raise
from remit.tasks.grant import ToolGrant
from tests.decisions.world import ME, World, snapshot, world
from tests.docs.pages import blocks
from tests.policy.worlds import task

KEY = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
CATALOGUE = """
[source.handbook]
label = "internal"
trusted = true
[source.payroll]
label = "confidential"
trusted = true
[source.web]
label = "public"
[destination."partner.example"]
clearance = "internal"
[destination.vault]
clearance = "restricted"
[tool."wiki/edit"]
side_effects = true
"""
[RULES, _] = blocks("docs/flow.md", "cedar")
POLICIES = """
@id("tasks-read")
@reason("a task reads what it lists")
permit (principal, action in [Action::"retrieve", Action::"call_tool"], resource)
when { context has task };

@id("tools-are-registered")
@reason("the owner's assistant adds tools")
permit (principal, action == Action::"register_tool", resource);
"""


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[World]:
    """A zone whose control keeps each mark, and puts it in force before it answers."""
    now = time.time()
    declared = replace(
        task("retrieve", "export", "call_tool", named="t-1"),
        started=now - 60,
        expires=now + 600,
        destinations=("partner.example", "vault"),
        tools=(ToolGrant("wiki/edit"),),
    )
    other = replace(declared, id="t-2")
    with world(
        tmp_path, snapshot(tasks=(declared, other), catalogue_toml=CATALOGUE, marks_cedar=POLICIES + RULES)
    ) as here:

        def keeps(message: Raise) -> dict[str, Any]:
            before = here.zone.snapshot
            tasks = tuple(
                replace(one, high=Label(message.high), untrusted=message.untrusted) if one.id == message.task else one
                for one in before.tasks
            )
            here.zone.put(replace(before, epoch=before.epoch + 1, tasks=tasks))
            return {}

        here.answers[Raise] = keeps
        yield here


def may(asked: World, action: str, kind: str, named: str, task: str = "t-1", **context: Any) -> bool:
    return asked.decision(
        {
            "subject": {"type": "workload", "id": str(ME)},
            "action": {"name": action},
            "resource": {"type": kind, "id": named},
            "context": {"task": task, **context},
        }
    )


def test_after_reading_what_is_confidential_nothing_goes_to_who_is_not_cleared(asked: World) -> None:
    assert may(asked, "export", "destination", "partner.example")
    assert may(asked, "retrieve", "source", "handbook")
    assert may(asked, "export", "destination", "partner.example")
    assert may(asked, "retrieve", "source", "payroll")
    assert not may(asked, "export", "destination", "partner.example")
    assert may(asked, "export", "destination", "vault")
    assert may(asked, "export", "destination", "partner.example", task="t-2")


def test_what_was_found_in_a_question_counts_for_that_question(asked: World) -> None:
    assert may(asked, "export", "destination", "partner.example", text="hello")
    told = {"text": f"the key is {KEY}"}
    assert not may(asked, "export", "destination", "partner.example", **told)
    assert not may(asked, "export", "destination", "partner.example")


def test_a_task_that_read_what_strangers_wrote_changes_and_registers_nothing(asked: World) -> None:
    assert may(asked, "call_tool", "tool", "wiki/edit", arguments={})
    assert may(asked, "retrieve", "source", "web")
    assert not may(asked, "call_tool", "tool", "wiki/edit", arguments={})
    assert not may(asked, "register_tool", "tool", "wiki/edit")
    assert may(asked, "call_tool", "tool", "wiki/edit", task="t-2", arguments={})


def test_a_source_that_nobody_listed_may_hold_anything(asked: World) -> None:
    assert may(asked, "retrieve", "source", "somewhere")
    assert not may(asked, "export", "destination", "partner.example")
    assert not may(asked, "call_tool", "tool", "wiki/edit", arguments={})


def test_what_control_does_not_keep_is_not_told_to_be_allowed(asked: World) -> None:
    asked.answers[Raise] = lambda _: {"refused": "the disk is full"}
    assert not may(asked, "retrieve", "source", "payroll")
    assert may(asked, "export", "destination", "partner.example")
