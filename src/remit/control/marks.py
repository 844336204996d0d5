"""The marks of tasks: how sensitive what came into one is, and whether anything came from outside.

A mark is the whole family's: of the task that a person or workload began, and of all that was cut from it. It only
rises, and has risen once it is on record, on disk, and in the Snapshot of every gateway.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from remit.control.book import Book
from remit.control.gateway_link import GatewayLink
from remit.control.workers import Worker
from remit.errors import ProtocolError, StateError
from remit.flow import Mark
from remit.policy.link import Raise
from remit.tasks import Task
from remit.tasks.delegation import with_what_was_cut
from remit.tasks.narrowing import ceiling_of

Deliver = Callable[[], Awaitable[bool]]


class Marks:
    """Of the tasks in `book`, each raised to its family's when this begins."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._behind: dict[str, asyncio.Future[bool] | None] = {}  # first tasks whose mark not every gateway has
        for task in list(book.tasks.values()):
            if task.id == self._first(task).id:
                self._put(self._family(task), self._highest(task))

    def again(self, marked: Mapping[str, Mark]) -> None:
        """As high as the log says, by first tasks: what is kept may be a restored backup."""
        for task_id, mark in marked.items():
            if (first := self._book.tasks.get(task_id)) is not None:
                self._put(self._family(first), mark)

    def answer(self, link: GatewayLink, deliver: Deliver) -> None:
        """Answer what its workers ask; `deliver` puts what is in force now in force at each of them."""

        async def raised(_: Worker, asked: Raise) -> dict[str, Any]:
            await self.raised(asked, deliver)
            return {}

        link.answers[Raise] = raised

    async def raised(self, asked: Raise, deliver: Deliver) -> None:
        """Returns once it counts everywhere; raises StateError, or AuditError, and then it does not count yet.

        1. on record, then on disk: of the first task, which lives as long as any, so that one row says it of all
        2. in force for the family, at every gateway
        """
        mark = _mark(asked)
        # 1
        async with self._book.one_act:
            task = self._book.tasks.get(asked.task)
            if task is None or task.ended is not None:
                raise StateError(f"task {asked.task} has ended")
            first = self._first(task)
            after = _of(first).raised(mark)
            if after != _of(first):
                await self._book.acts("task.marked", first.id, None, {"in": task.id, **_told(after)})
                self._book.keep_task(_with(self._book.tasks[first.id], after))
                self._put(self._family(first), after)
                self._behind[first.id] = None
        # 2
        if first.id in self._behind and not await asyncio.shield(self._delivery(first.id, deliver)):
            raise StateError("not every gateway knows of it yet", hint="try again")

    def _delivery(self, first: str, deliver: Deliver) -> "asyncio.Future[bool]":
        """The one under way; another where the mark rose meanwhile, or the last one did not reach every gateway."""
        delivery = self._behind[first]
        if delivery is None or delivery.done():
            delivery = self._behind[first] = asyncio.ensure_future(deliver())
            delivery.add_done_callback(lambda done: self._delivered(first, done))
        return delivery

    def _delivered(self, first: str, done: "asyncio.Future[bool]") -> None:
        failed = done.cancelled() or done.exception() is not None
        if self._behind.get(first) is done and not failed and done.result():
            del self._behind[first]

    def _put(self, family: list[Task], mark: Mark) -> None:
        """In memory, of those that are below it."""
        for task in family:
            if _of(task).raised(mark) != _of(task):
                self._book.tasks[task.id] = _with(task, mark)

    def _first(self, task: Task) -> Task:
        while (parent := self._book.tasks.get(task.parent or "")) is not None:
            task = parent
        return task

    def _family(self, first: Task) -> list[Task]:
        return with_what_was_cut({first.id}, self._book.tasks.values())

    def _highest(self, first: Task) -> Mark:
        mark = Mark()
        for task in self._family(first):
            mark = mark.raised(_of(task))
        return mark


def _mark(asked: Raise) -> Mark:
    try:
        return Mark(ceiling_of(asked.high), asked.untrusted)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"this is no mark: {error}") from None


def _of(task: Task) -> Mark:
    return Mark(task.high, task.untrusted)


def _with(task: Task, mark: Mark) -> Task:
    after = _of(task).raised(mark)
    return dataclasses.replace(task, high=after.high, untrusted=after.untrusted)


def _told(mark: Mark) -> dict[str, Any]:
    return {"high": mark.high.value, "untrusted": mark.untrusted}
