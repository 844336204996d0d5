"""The port through which tasks are kept; `storage/` implements it."""

from collections.abc import Sequence
from typing import Protocol

from remit.tasks.task import Task


class Ledger(Protocol):
    """Keeps tasks, ended ones too: an ended task must stay ended after a crash."""

    def tasks(self) -> Sequence[Task]: ...
    def save_task(self, task: Task) -> None: ...
