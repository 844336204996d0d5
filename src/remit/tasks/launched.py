"""The processes that Remit launched for tasks, by what the kernel calls each once: pid and start; pure."""

from collections.abc import Iterable

from remit.tasks.task import Task


class Launched:
    """Those of the `tasks` that are live at `now` (Unix seconds)."""

    def __init__(self, tasks: Iterable[Task], now: float) -> None:
        self._tasks = {task.launched: task.id for task in tasks if task.launched is not None and task.live(now)}

    def task_of(self, pid: int, start: int) -> str | None:
        """The id of the task that this process was launched for, if it was."""
        return self._tasks.get((pid, start))
