"""What tasks have spent of their budgets: control's accounts, kept on disk before a worker may spend from them.

Workers take what a call may need before it begins, and settle when it has ended. What is on disk is never less than
what was spent or is held, so that nothing is spent twice after a crash.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from remit.control.book import Book
from remit.control.gateway_link import GatewayLink
from remit.control.tasking import Tasking
from remit.control.workers import Worker
from remit.errors import NotFoundError, ProtocolError, StateError
from remit.policy.link import Reserve, Settle
from remit.tasks import Accounts, Task
from remit.tasks.budget import NOTHING, UNLIMITED, Budget, Spent

LOOK_SECONDS: Final = 1.0
# A task that has nothing left and of which nothing is under way ends then: whoever asks before is told why.
GRACE_SECONDS: Final = 5.0
# Who is refused is told that, and not that the task has just ended: a worker writes a refusal down in milliseconds.
TELLING_SECONDS: Final = 0.5
AHEAD: Final = 16  # what part of what is left goes on disk as spent before it is: the disk is not asked for each call


class Spending:
    """The accounts of the live tasks in `book` that have a budget; `tasking` ends those that have used theirs up."""

    def __init__(self, book: Book, tasking: Tasking) -> None:
        self._book, self._tasking = book, tasking
        self._accounts = Accounts()
        self._kept: dict[str, Spent] = {}  # by task that has an account: what is on disk
        self._idle: dict[str, int] = {}  # looks at which a task had nothing left and nothing under way
        self._ending: dict[str, asyncio.Task[None]] = {}

    def answer(self, link: GatewayLink) -> None:
        """Answer what its workers ask."""
        link.answers[Reserve], link.takes[Settle] = self.reserve, self.settle
        link.lost.append(self.lost)

    async def reserve(self, worker: Worker, asked: Reserve) -> dict[str, Any]:
        """As much of it as there is, on disk as spent before it is given. Nothing where a kind is used up.

        Raises StateError when there is no such task, or it can't be kept.
        """
        who, wanted = _name(worker), _amount(asked.wanted)
        task = self._live(asked.task)
        line = self._open(task)
        left = self._accounts.left(task.id)
        told = {"left": task.budget.counted(left).to_dict()}
        if _gone(worker) or wanted.lacks(left):
            self._end_if_over(line)
            return {"amount": NOTHING.to_dict(), **told}
        given = self._accounts.reserve(task.id, who, wanted)
        try:
            await self._keep(line)
        except BaseException:
            self._give_back(task.id, who, given)
            raise
        return {"amount": given.to_dict(), **told}

    async def settle(self, worker: Worker, told: Settle) -> None:
        """What the worker used of what it holds; raises ProtocolError for more than that."""
        who, used, back = _name(worker), _amount(told.used), _amount(told.back)
        if _gone(worker) or told.task not in self._kept:
            return  # what it held counts as spent already
        try:
            self._accounts.settle(told.task, who, used, back)
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        for task_id in self._line(told.task):
            if self._used_up(task_id):
                self._end(task_id)

    def lost(self, worker: Worker) -> None:
        """The worker died: what it held counts as spent."""
        self._accounts.lost(_name(worker))

    def left(self, task: Task) -> dict[str, int]:
        """What it may still spend, of each kind that has a limit, as far as is known without opening its account."""
        if task.budget == UNLIMITED:
            return {}
        least = Budget().most
        for one in self._ancestry(task):
            spent = self._accounts.committed(one.id) if one.id in self._kept else one.spent
            least = least.least(one.budget.most - spent.least(one.budget.most))
        return {kind: getattr(least, kind) for kind in task.budget.to_dict()}

    async def mind(self) -> None:
        """Look once a second, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """End what has used up its budget, forget what has ended, and keep exactly what is spent.

        What the disk doesn't take is kept as more than that, and so remains.
        """
        for task_id in list(self._kept):
            if self._live_or_none(task_id) is None:
                self._forget(task_id)
            else:
                self._look_at(task_id)
        with contextlib.suppress(StateError):
            await self._keep_exactly()

    async def close(self) -> None:
        """Control ends, and no worker is left."""
        with contextlib.suppress(StateError):
            await self._keep_exactly()
        await asyncio.gather(*self._ending.values(), return_exceptions=True)

    def _open(self, task: Task) -> list[Task]:
        """The task and those it was cut from, each with its account, as large as its budget is now."""
        line = self._ancestry(task)
        for one in reversed(line):
            if one.id not in self._kept:
                self._accounts.open(one.id, one.budget, one.parent, one.budget.counted(one.spent))
                self._kept[one.id] = one.spent
            self._accounts.resize(one.id, one.budget)
        return line

    def _ancestry(self, task: Task) -> list[Task]:
        line = [task]
        while (parent := self._book.tasks.get(line[-1].parent or "")) is not None:
            line.append(parent)
        return line

    def _line(self, task_id: str) -> list[str]:
        task = self._book.tasks.get(task_id)
        return [one.id for one in self._ancestry(task) if one.id in self._kept] if task is not None else []

    def _give_back(self, task_id: str, who: str, given: Spent) -> None:
        with contextlib.suppress(ValueError):  # the worker was lost meanwhile
            self._accounts.settle(task_id, who, NOTHING, given)

    def _forget(self, task_id: str) -> None:
        """A task that has ended, once no worker holds any of it."""
        if not self._accounts.held(task_id):
            self._accounts.close(task_id)
            del self._kept[task_id]
            self._idle.pop(task_id, None)

    async def _keep(self, line: Iterable[Task]) -> None:
        """See to it that what is on disk as spent is not less; with some more, so that it is rarely written."""
        short = [one.id for one in line if not self._committed(one).within(self._kept[one.id])]
        if short:
            async with self._book.one_act:
                for task_id in short:
                    self._write(task_id, ahead=True)

    async def _keep_exactly(self) -> None:
        """Nothing more than what is spent or held."""
        live = [one for one in map(self._live_or_none, self._kept) if one is not None]
        if any(self._committed(one) != self._kept[one.id] for one in live):
            async with self._book.one_act:
                for one in live:
                    self._write(one.id, ahead=False)

    def _write(self, task_id: str, *, ahead: bool) -> None:
        task = self._live(task_id)  # as it is now: others may have changed it while this waited
        committed = self._committed(task)
        spent = _ahead(task.budget, committed) if ahead else committed
        if spent != self._kept[task_id]:
            self._book.keep_task(dataclasses.replace(task, spent=spent))
            self._kept[task_id] = spent

    def _committed(self, task: Task) -> Spent:
        return task.budget.counted(self._accounts.committed(task.id))

    def _look_at(self, task_id: str) -> None:
        over = self._over(task_id)
        self._idle[task_id] = self._idle.get(task_id, 0) + 1 if over else 0
        if self._idle[task_id] * LOOK_SECONDS > GRACE_SECONDS:
            self._end(task_id)

    def _end_if_over(self, line: Sequence[Task]) -> None:
        for one in line:
            if self._over(one.id):
                self._end(one.id, TELLING_SECONDS)

    def _over(self, task_id: str) -> bool:
        """Whether nothing is left of some kind, and nothing of it is under way."""
        return not all(self._accounts.own_left(task_id).amounts()) and not self._accounts.held(task_id)

    def _used_up(self, task_id: str) -> bool:
        """Whether calls used all there was of what they use while they run: nothing of it can be under way any more.

        The last call of a task is no such: it may go on.
        """
        return any(kind != "calls" for kind in self._accounts.used_up(task_id))

    def _end(self, task_id: str, after: float = 0) -> None:
        if task_id not in self._ending:
            ending = asyncio.get_running_loop().create_task(self._ended(task_id, after))
            self._ending[task_id] = ending
            ending.add_done_callback(lambda _: self._ending.pop(task_id, None))

    async def _ended(self, task_id: str, after: float) -> None:
        await asyncio.sleep(after)
        left = self._accounts.own_left(task_id).to_dict() if task_id in self._kept else {}
        why = f"its budget is spent: {', '.join(kind for kind in left if not left[kind])}"
        if all(left.values()):
            return  # it has ended otherwise, or may spend more by now
        with contextlib.suppress(NotFoundError):  # it has ended meanwhile
            await self._tasking.end(task_id, why)

    def _live(self, task_id: str) -> Task:
        return self._live_or_none(task_id) or _no_task(task_id)

    def _live_or_none(self, task_id: str) -> Task | None:
        task = self._book.tasks.get(task_id)
        return task if task is not None and task.live(self._book.clock()) else None


def _no_task(task_id: str) -> NoReturn:
    raise StateError(f"task {task_id} has ended")


def _name(worker: Worker) -> str:
    return f"{worker.zone} {worker.child.pid}"


def _gone(worker: Worker) -> bool:
    """Whether it has ended: nothing that it said before is taken any more."""
    return worker.child.process.poll() is not None


def _amount(row: Mapping[str, Any]) -> Spent:
    try:
        return Spent(**row)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"this is no amount: {error}") from None


def _ahead(budget: Budget, committed: Spent) -> Spent:
    """What is committed, and some of what is left."""
    limits = budget.to_dict()
    more = {kind: max(0, limit - getattr(committed, kind)) // AHEAD for kind, limit in limits.items()}
    return committed + Spent(**more)
