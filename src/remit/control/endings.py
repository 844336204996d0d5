"""How tasks and sessions end: in force at once, then kept and on record; and for good, whatever a clock does next."""

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from remit.errors import AuditError, StateError
from remit.inventory import Human
from remit.tasks import Session, Task

Begun: TypeAlias = Task | Session


class Kept(Protocol):
    """What an end is kept in."""

    def save_task(self, task: Task) -> None: ...

    def save_session(self, session: Session) -> None: ...


class Records(Protocol):
    """As `book.Acts`."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


def since_boot() -> float:
    """Seconds that nobody sets, which go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Endings:
    """Writes down what has ended. What can't be written has ended all the same: ending waits for no disk."""

    def __init__(self, kept: Kept, records: Records) -> None:
        self._kept, self._records = kept, records
        self._unkept: dict[str, Begun] = {}
        self.unrecorded: dict[str, str] = {}
        """What is not on record or not kept, by id, and why: this must be told."""

    async def write(self, ended: Begun, human: Human | None, facts: dict[str, Any]) -> None:
        """Keep it, and record it with `facts`."""
        problems = [f"not kept: {error}"] if (error := self._keep(ended)) is not None else []
        what = "task.ended" if isinstance(ended, Task) else "session.ended"
        try:
            await self._records(what, ended.id, human.person if human is not None else None, facts)
        except AuditError as failed:
            problems.append(f"not recorded: {failed}")
        if problems:
            self.unrecorded[ended.id] = "; ".join(problems)

    def keep_again(self) -> None:
        """Try again to keep what could not be: a restart must not bring it back. Cheap when there is nothing."""
        for ended in list(self._unkept.values()):
            self._keep(ended)

    def _keep(self, ended: Begun) -> StateError | None:
        try:
            self._kept.save_task(ended) if isinstance(ended, Task) else self._kept.save_session(ended)
        except StateError as error:
            self._unkept[ended.id] = ended
            return error
        self._unkept.pop(ended.id, None)
        return None


class Deadlines:
    """Whether the time of a task or session is over: by the clock, or by the time since boot, which is never set.

    A clock that is set back prolongs nothing that was seen here. One that is ahead for a moment ends what it passes.
    """

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = since_boot) -> None:
        self._clock, self._steady = clock, steady
        self._until: dict[str, float] = {}

    def over(self, one: Begun) -> bool:
        left = min(one.expires - self._clock(), one.expires - one.started)
        until = self._until.setdefault(one.id, self._steady() + left)
        return self._clock() >= one.expires or self._steady() >= until

    def forget(self, one: Begun) -> None:
        """It has ended."""
        self._until.pop(one.id, None)
