"""What people said to their tasks, over a channel that proves it was them: in memory alone, for those who decide.

A control that starts again knows none of it: values that stood on these words are `unseen` then, and never better.
"""

from collections.abc import Callable, Iterator
from typing import Final

from remit.control.book import Book
from remit.errors import UsageError
from remit.inventory import Human
from remit.persons import Kind
from remit.policy.link import Said
from remit.secret import Secret
from remit.tasks import Task

MOST_CHARACTERS: Final = 16_384  # of one text: whoever proves it is shown all of it
MOST_OF_TASK: Final = 131_072
MOST_OF_ALL: Final = 16_777_216


class Words:
    """Of the live tasks in `book`."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._said: dict[str, list[Secret]] = {}
        self._sizes: dict[str, int] = {}
        self.tell: Callable[[Said], bool] = _nobody
        """Takes it to the zone of decisions; whether there is one."""

    async def say(self, task: Task, by: Human, text: str, proof: Kind) -> bool:
        """Keep it and pass it on; whether anybody hears it. On record is that something was said, never what.

        Raises UsageError for more than is kept.
        """
        self._check_room(task, text)
        async with self._book.one_act:
            told = {"proof": proof.value, "characters": len(text)}
            await self._book.acts("task.said", task.id, by.person, told)
            self._said.setdefault(task.id, []).append(Secret(text))
            self._sizes[task.id] = self._sizes.get(task.id, 0) + len(text)
        return self.tell(Said(task.id, Secret(text)))

    def all(self) -> Iterator[Said]:
        """For a worker that begins."""
        self._forget()
        for task, texts in self._said.items():
            yield from (Said(task, text) for text in texts)

    def _check_room(self, task: Task, text: str) -> None:
        self._forget()
        if not text.strip():
            raise UsageError("there are no words to keep", hint="give them behind the task, or on stdin")
        if len(text) > MOST_CHARACTERS:
            raise UsageError(f"a text has {MOST_CHARACTERS:,} characters at most", hint="say it in several")
        if self._sizes.get(task.id, 0) + len(text) > MOST_OF_TASK:
            raise UsageError(f"no more than {MOST_OF_TASK:,} characters are kept for a task", hint="start another")
        if sum(self._sizes.values()) + len(text) > MOST_OF_ALL:
            raise UsageError("no more is kept of what people said to all tasks", hint="end tasks that are done")

    def _forget(self) -> None:
        """What was said to a task that has ended."""
        now = self._book.clock()
        for task_id in list(self._said):
            task = self._book.tasks.get(task_id)
            if task is None or not task.live(now):
                del self._said[task_id], self._sizes[task_id]


def _nobody(_: Said) -> bool:
    return False
