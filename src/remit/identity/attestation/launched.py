"""Which task a process was launched for: told by whoever launched it, never read from the process."""

from dataclasses import replace
from typing import Protocol

from remit.identity.process import Process


class Launches(Protocol):
    """What Remit itself launched: pid and start (clock ticks since boot) name one process, a later one never."""

    def task_of(self, pid: int, start: int) -> str | None:
        """The task's id; None for a process that was not launched here, or whose task has ended."""
        ...


def with_task(process: Process, launches: Launches) -> Process:
    """`process` with the task that it, or else the nearest of its ancestors, was launched for.

    Not covered: a process whose parent has ended. The kernel has given it to init, and nothing tells whose it was.
    """
    line = ((process.pid, process.start), *((one.pid, one.start) for one in process.parents))
    tasks = (launches.task_of(pid, start) for pid, start in line if start is not None)
    return replace(process, task=next((task for task in tasks if task is not None), None))
