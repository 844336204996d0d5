"""A task that takes its person there, whatever policies say."""

from dataclasses import replace

import pytest

from remit.policy import Circumstances, Engine, Intent, RefusedError
from tests.policy.worlds import NOW, curl, intent, snapshot, task

ANYBODY = '@id("use") permit(principal, action, resource);'


def asked(presence: str) -> Intent:
    return replace(intent(caller=curl(task="t1")), circumstances=Circumstances(presence=presence))


def engine(*, present: bool) -> Engine:
    return Engine(snapshot(ANYBODY, tasks=[replace(task("infer"), present=present)]))


def test_a_task_that_takes_its_person_there_goes_on_with_them_and_not_without() -> None:
    decides = engine(present=True)
    decides.decide(asked("here"), NOW, "d1")
    for presence in ("away", "unknown", "here ", "HERE", ""):
        with pytest.raises(RefusedError) as refused:
            decides.decide(asked(presence), NOW, "d1")
        assert refused.value.rule == "remit:nobody-there"
    decides.decide(asked("here"), NOW, "d1")


def test_other_tasks_go_on_without() -> None:
    engine(present=False).decide(asked("unknown"), NOW, "d1")
    engine(present=False).decide(asked("away"), NOW, "d1")


def test_who_is_refused_learns_who_must_be_there_and_no_command() -> None:
    with pytest.raises(RefusedError) as refused:
        engine(present=True).decide(asked("unknown"), NOW, "d1")
    assert "nobody is known to be" in str(refused.value)
    assert refused.value.hint == "ada must be there while the task runs"
    assert "remit " not in refused.value.hint
