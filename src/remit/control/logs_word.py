"""What the log says of what is kept, at the start: it outranks the state, which may be older (`ended`)."""

from collections.abc import Callable
from pathlib import Path

from remit.control.book import KEEP_ENDED_SECONDS, State
from remit.control.ended import ended_tasks, marked_tasks, owners, withheld_workloads
from remit.errors import AuditError
from remit.flow import Mark
from remit.inventory import LifeState
from remit.tasks import Session, Task


class LogsWord:
    """Reads control's own log in `directory`. Where it can't be read that is told, and nothing counts as allowed."""

    def __init__(
        self, directory: Path, state: State, tell: Callable[[AuditError], None], note: Callable[[str], None]
    ) -> None:
        self._directory, self._state, self._tell, self._note = directory, state, tell, note

    def ended(self, now: float) -> dict[str, float]:
        """Which of the kept tasks and sessions were ended, and when: all of them when it can't be read."""
        every: tuple[Task | Session, ...] = (*self._state.tasks(), *self._state.sessions())
        kept = [one for one in every if one.expires > now - KEEP_ENDED_SECONDS]
        if not kept:
            return {}
        try:
            return ended_tasks(self._directory, min(one.started for one in kept))
        except AuditError as error:
            self._tell(error)
            self._note("which tasks were ended can't be read: every task is ended now")
            return {one.id: now for one in kept}

    def marked(self, now: float) -> dict[str, Mark]:
        """How high the marks of the kept tasks rose. Where it can't be read, every task has ended."""
        kept = [one.started for one in self._state.tasks() if one.ended is None and one.expires > now]
        try:
            return marked_tasks(self._directory, min(kept)) if kept else {}
        except AuditError as error:
            self._tell(error)
            return {}

    def withheld(self) -> dict[str, tuple[LifeState, float]]:
        """Which workloads were suspended or retired since the newest thing that is kept."""
        tasks = [task.started for task in self._state.tasks()]
        if not (kept := self._moved() + tasks):
            return {}
        try:
            return withheld_workloads(self._directory, max(kept))
        except AuditError as error:
            self._tell(error)
            self._note("what was suspended lately can't be read: check `remit workload list`")
            return {}

    def owners(self) -> dict[str, tuple[str, float]]:
        """To whom workloads were given since the newest move that is kept: by SPIFFE ID, a pseudonym and when."""
        kept = self._moved()
        try:
            return owners(self._directory, max(kept)) if kept else {}
        except AuditError as error:
            self._tell(error)
            return {}

    def _moved(self) -> list[float]:
        return [workload.state_since for workload in self._state.workloads()]
