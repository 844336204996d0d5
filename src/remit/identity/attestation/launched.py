"""Which task a process was launched for: told by whoever launched it, never read from the process."""

from dataclasses import replace
from typing import Protocol

from remit.identity.process import Process


class Launches(Protocol):
    """What Remit itself launched, by the pidfd it holds: pid and start name one process, a later one never."""

    def task_of(self, pid: int, start: int) -> str | None:
        """The task's id; None for a process that was not launched here, or has ended."""
        ...


def with_task(process: Process, launches: Launches) -> Process:
    """`process` with the task it was launched for. Its children have none of their own: they are told by parents."""
    return replace(process, task=launches.task_of(process.pid, process.start))
