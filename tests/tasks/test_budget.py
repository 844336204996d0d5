"""A budget is never overspent: not by many calls over two workers, not by parts of it, not by one who died."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.tasks.budget import KINDS, MOST, NOTHING, UNLIMITED, Account, Accounts, Budget, Slice, Spent

amounts = st.builds(Spent, *(st.integers(0, 9) for _ in KINDS))
budgets = st.builds(Budget, *(st.none() | st.integers(0, 20) for _ in KINDS))


class Control:
    """Answers the workers, each in a thread of its own, and counts what really ran."""

    def __init__(self, budget: Budget, calls: int, die_after: tuple[int, int] = (0, 0)) -> None:
        self.accounts = Accounts()
        self.accounts.open("t", budget)
        self.ran = 0
        self._mutex = threading.Lock()
        command = [sys.executable, "-m", "tests.tasks.spender", str(calls)]
        self.workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in die_after
        ]
        threads = [
            threading.Thread(target=self._hear, args=(f"w{number}", worker, die_after[number]))
            for number, worker in enumerate(self.workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for worker in self.workers:
            worker.kill()
            worker.wait(10)
            for end in (worker.stdin, worker.stdout):
                assert end is not None
                end.close()

    def _hear(self, name: str, worker: "subprocess.Popen[str]", die_after: int) -> None:
        ran = 0
        for line in self._lines(worker):
            with self._mutex:
                if "reserve" in line:
                    given = self.accounts.reserve("t", name, Spent(**line["reserve"]))
                    assert worker.stdin is not None
                    worker.stdin.write(json.dumps(given.to_dict()) + "\n")
                    worker.stdin.flush()
                elif "ran" in line:
                    self.ran += 1
                    ran += 1
                else:
                    self.accounts.settle("t", name, Spent(**line["used"]), Spent(**line["back"]))
            if die_after and ran >= die_after:
                worker.kill()
                with self._mutex:
                    self.accounts.lost(name)
                return

    @staticmethod
    def _lines(worker: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
        assert worker.stdout is not None
        for line in worker.stdout:
            yield json.loads(line)


def test_100_calls_over_two_workers_spend_what_there_is_and_no_more() -> None:
    control = Control(Budget(calls=70, tokens=100_000), 50)
    assert control.ran == 70
    assert control.accounts.committed("t").calls == 70
    assert control.accounts.left("t").calls == 0


def test_tokens_run_out_first() -> None:
    control = Control(Budget(calls=1_000, tokens=1_000), 50)
    assert 0 < control.ran <= 1_000 // (30 - 6)
    assert control.accounts.committed("t").tokens <= 1_000


def test_what_a_dead_worker_held_is_spent() -> None:
    control = Control(Budget(calls=70, tokens=100_000), 50, (10, 0))
    assert control.ran <= 70
    assert control.accounts.committed("t").calls + control.accounts.left("t").calls == 70
    assert control.accounts.committed("t").calls >= control.ran
    left = control.accounts.left("t").calls
    assert control.accounts.reserve("t", "another", Spent(100, MOST)).calls == left


steps = st.lists(
    st.tuples(st.sampled_from(["reserve", "take", "untake", "settle", "lost"]), st.integers(0, 2), amounts),
    max_size=60,
)


@given(st.lists(budgets, min_size=3, max_size=3), st.sampled_from([(None, "0", "1"), (None, "0", "0")]), steps)
def test_no_order_of_events_spends_more_than_a_task_or_what_it_was_cut_from_has(  # noqa: C901 - a model, event by event
    given_budgets: list[Budget], parents: tuple[str | None, ...], events: list[tuple[str, int, Spent]]
) -> None:
    accounts = Accounts()
    for number, budget in enumerate(given_budgets):
        accounts.open(str(number), budget, parents[number])
    slices = {(task, worker): Slice() for task in "012" for worker in "ab"}
    ran = dict.fromkeys("012", NOTHING)  # what was really used of each task and its parts

    def use(task: str | None, amount: Spent) -> None:
        while task is not None:
            ran[task] += amount
            task = parents[int(task)]

    for number, (what, task_number, amount) in enumerate(events):
        task, worker = str(task_number), "ab"[number % 2]
        held = slices[task, worker]
        if what == "reserve":
            held.add(accounts.reserve(task, worker, amount))
        elif what == "take" and held.take(amount):
            use(task, amount)
        elif what == "untake" and held.take(amount):
            held.untake(amount)
        elif what == "settle":
            accounts.settle(task, worker, *held.settle())
        elif what == "lost":
            accounts.lost(worker)
            slices |= {(one, worker): Slice() for one in "012"}
        for each in "012":
            assert ran[each].within(accounts.committed(each))
            assert accounts.committed(each).within(given_budgets[int(each)].most)
            assert (accounts.committed(each) + accounts.left(each)).within(given_budgets[int(each)].most)


def test_what_is_settled_twice_is_refused_and_changes_nothing() -> None:
    accounts = Accounts()
    accounts.open("t", Budget(calls=10))
    accounts.open("part", UNLIMITED, "t")
    given_calls = accounts.reserve("part", "a", Spent(4))
    assert given_calls == Spent(4)
    accounts.settle("part", "a", Spent(1), Spent(3))
    with pytest.raises(ValueError, match="more"):
        accounts.settle("part", "a", Spent(1), NOTHING)
    assert (accounts.committed("t"), accounts.committed("part")) == (Spent(1), Spent(1))


def test_a_task_that_has_no_account_has_nothing() -> None:
    accounts = Accounts()
    accounts.open("t", Budget(calls=10), "session")
    with pytest.raises(ValueError, match="open"):
        accounts.open("t", UNLIMITED)
    accounts.reserve("t", "a", Spent(9))
    accounts.close("t")
    assert accounts.reserve("t", "a", Spent(1)) == accounts.left("t") == NOTHING
    assert accounts.reserve("never", "a", Spent(1)) == NOTHING


def test_after_a_restart_what_was_held_is_spent() -> None:
    before = Account(Budget(calls=10), None, Spent(2), {"a": Spent(3)})
    accounts = Accounts()
    accounts.open("t", before.budget, committed=before.committed)
    assert accounts.left("t").calls == 5


@pytest.mark.parametrize("row", [{"calls": -1}, {"calls": 1.5}, {"calls": True}, {"tokens": MOST}, {"bytes": "9"}])
def test_what_is_no_amount_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Budget.from_dict(row)


def test_more_than_another_budget_is_told_by_its_kind() -> None:
    assert Budget(calls=3, tokens=5).over(Budget(calls=3)) == ""
    assert Budget(calls=3).over(Budget(calls=3, tokens=5)) == "tokens"
    assert Budget(calls=4).over(Budget(calls=3)) == "calls"
