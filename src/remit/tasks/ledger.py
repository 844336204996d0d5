"""The port through which tasks and sessions are kept; `storage/` implements it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from remit.tasks.session import Session
from remit.tasks.task import Task


class Ledger(Protocol):
    """Keeps tasks and sessions, ended ones too: what has ended must stay so after a crash."""

    def tasks(self) -> Sequence[Task]: ...
    def save_task(self, task: Task) -> None: ...
    def drop_tasks(self, ids: Collection[str]) -> None: ...
    def sessions(self) -> Sequence[Session]: ...
    def save_session(self, session: Session) -> None: ...
