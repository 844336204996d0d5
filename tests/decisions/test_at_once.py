"""What was done counts at once and for the whole family of a task: asking together, or in a part, gains nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.gateway.decisions import flows
from tests.decisions.test_flow import CATALOGUE, HEARD, POLICIES, call, mine
from tests.decisions.world import EVALUATIONS, ME, World, snapshot, world


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
