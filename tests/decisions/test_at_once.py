"""What was done counts at once and for the whole family of a task: asking together, or in a part, gains nothing."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.detect import Label
from remit.gateway.decisions import flows
from remit.policy.link import Raise, Reserve
from remit.tasks import Budget
from tests.decisions.test_flow import CATALOGUE, HEARD, POLICIES, TOKEN, call, mine
from tests.decisions.world import EVALUATION, EVALUATIONS, ME, World, snapshot, world


def pid_start(pid: int) -> tuple[int, int]:
    """As the kernel tells processes apart: field 22 of its stat."""
    return pid, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        made = stack.enter_context(world(tmp_path, snapshot(catalogue_toml=CATALOGUE, p_cedar=POLICIES), (ME,)))
        made.put(tasks=(mine(),))
        yield made


def in_task(name: str, tool: str = "mail/send") -> dict[str, Any]:
    to = {"to": "bob@maple.example"}
    return {**call(tool, **to), "context": {"task": name, "arguments": to}}


def test_what_is_asked_together_is_done_once(here: World) -> None:
    answer = here.post(EVALUATIONS, {"evaluations": [in_task("t1")] * 4}).body
    assert [one["decision"] for one in answer["evaluations"]] == [True, False, False, False]


def test_what_was_done_in_a_task_was_done_in_each_part_of_it(here: World) -> None:
    here.put(tasks=(mine(), *(replace(mine(), id=f"p{n}", parent="t1", token_sha256=f"{n:064}") for n in range(3))))
    assert here.decision(in_task("p0")) is True
    assert [here.decision(in_task(name)) for name in ("p1", "t1", "p0", "p2")] == [False] * 4


def test_what_is_done_does_not_stand_in_its_own_way(here: World) -> None:
    here.put(tasks=(mine(budget=Budget(calls=9)),))

    def reserve(_: Any) -> dict[str, Any]:
        """Something else comes in force while the budget is asked for."""
        here.zone.put(replace(here.zone.snapshot, epoch=here.zone.snapshot.epoch + 1))
        return {"amount": {"calls": 1}, "left": {}}

    here.answers[Reserve] = reserve
    assert [here.decision(in_task("t1")) for _ in range(2)] == [True, False]
    assert here.records()[-1]["rule"] == "once"


def launched(**changed: Any) -> Any:
    """The task that this very process was launched for."""
    return replace(mine(), id="t0", token_sha256="0" * 64, launched=pid_start(os.getpid()), **changed)


def test_who_was_launched_for_a_task_does_not_leave_its_mark_by_naming_another(here: World) -> None:
    here.put(tasks=(mine(), launched(high=Label.RESTRICTED)))
    assert here.decision(in_task("t1", "mail/read"), authorization=f"Bearer {TOKEN}") is False
    assert here.records()[-1]["rule"] == "not-after-the-vault"


def test_what_comes_along_is_in_the_task_that_its_caller_was_launched_for(here: World) -> None:
    here.put(tasks=(mine(), launched()))
    secret = {**call("mail/read", body="AKIA" + "Z7Q4M2XPLW5TJ6RC")}
    del secret["context"]["task"]
    here.decision(secret)
    assert [(one.task, one.high) for one in here.told if isinstance(one, Raise)] == [("t0", "confidential")]


def test_what_somebody_hears_is_in_the_task_that_they_were_launched_for(here: World) -> None:
    here.put(tasks=(mine(), launched()))
    heard = {"task": "t1", "source": "vault", "text": "the minutes"}
    assert here.post(HEARD, heard, authorization=f"Bearer {TOKEN}").status == 200
    assert sorted(one.task for one in here.told if isinstance(one, Raise)) == ["t0", "t1"]


def test_what_was_launched_for_a_task_is_no_enforcement_point(here: World) -> None:
    assert here.post(EVALUATION, in_task("t1")).status == 200
    here.put(tasks=(mine(), launched()))
    assert here.post(EVALUATION, in_task("t1")).status == 403
    heard = here.post(HEARD, {"task": "t1", "source": "contacts", "entries": ["eve@bad.example"]})
    assert heard.status == 403


def test_others_names_are_not_found_out(here: World) -> None:
    here.put(tasks=(launched(),))
    about = [
        ("workload", "llama"),
        ("workload", "nobody"),
        ("workload", "spiffe://"),
        ("human", "bob"),
        ("human", "\n"),
    ]
    asked = [{**call(), "subject": {"type": kind, "id": name}} for kind, name in about]
    replies = [here.post(EVALUATION, body) for body in asked]
    assert {(one.status, one.body["error"]) for one in replies} == {
        (403, "only a registered enforcement point may ask about others")
    }


def test_what_is_forgotten_for_want_of_room_may_have_been_anything(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 2)
    here.put(tasks=(mine(), *(replace(mine(), id=f"q{n}", token_sha256=f"{n:064}") for n in range(3))))
    assert here.decision(in_task("t1")) is True
    for n in range(3):
        assert here.post(HEARD, {"task": f"q{n}", "source": "inbox", "text": "x"}).status == 200
    here.decision(in_task("t1", "mail/read"))
    assert here.records()[-1]["facts"]["flow"]["did"] == ["everything"]
