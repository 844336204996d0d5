"""The processes that tasks were launched as: each by pid and start, for as long as its task lives."""

import dataclasses

from remit.identity import SpiffeId
from remit.tasks import Launched, Task
from remit.tasks.delegation import Wanted, cut

LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama")
TASK = Task("t-1", "ada", LLAMA, ("infer",), "", 0.0, 60.0, "00", "uid", launched=(5120, 99))


def test_a_process_is_known_while_its_task_lives_and_no_later_one_of_its_number_is() -> None:
    assert Launched([TASK], 30.0).task_of(5120, 99) == "t-1"
    assert Launched([TASK], 30.0).task_of(5120, 100) is None
    assert Launched([TASK], 60.0).task_of(5120, 99) is None
    assert Launched([dataclasses.replace(TASK, ended=20.0)], 30.0).task_of(5120, 99) is None
    assert Launched([dataclasses.replace(TASK, launched=None)], 30.0).task_of(5120, 99) is None


def test_a_task_is_kept_with_its_process_and_one_from_before_there_were_any_has_none() -> None:
    assert Task.from_dict(TASK.to_dict()) == TASK
    row = dataclasses.replace(TASK, launched=None).to_dict()
    assert Task.from_dict(row).launched is None
    del row["launched"]
    assert Task.from_dict(row).launched is None


def test_what_is_cut_from_a_task_was_launched_for_by_nobody() -> None:
    handed = cut(TASK, Wanted(), SpiffeId.parse("spiffe://maple.local/agent/one"), 30.0, task_id="t-2")
    assert handed.launched is None
    assert Launched([TASK, handed], 30.0).task_of(5120, 99) == "t-1"
