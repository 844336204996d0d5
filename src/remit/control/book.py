"""What is kept of people, workloads and tasks, as it is in force now; who acts on it records that first."""

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from remit.control.endings import Deadlines, Endings, since_boot
from remit.errors import NotFoundError
from remit.identity.latest import Latest
from remit.inventory import Enrolled, Human, LifeState, Workload
from remit.inventory.lifecycle import FINAL, WITHHELD
from remit.inventory.registry import Humans, Workloads
from remit.inventory.selectors import REGISTERED
from remit.persons.passkey_book import Passkeys
from remit.tasks import ApprovalBook, Session, Task
from remit.tasks.ledger import Ledger

KEEP_ENDED_SECONDS: Final = 86400.0


class Acts(Protocol):
    """The port to the audit log: returns when the act is durably recorded; raises AuditError when it can't be."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


class State(Humans, Workloads, Ledger, Passkeys, ApprovalBook, Protocol):
    """What the book is kept in."""


class Book:
    """Everyone and everything known here. Whoever changes it holds `one_act`, and has it on record before it is kept.

    `ended` says when tasks and sessions were ended by the log, `withheld` which workloads were suspended or retired
    and when. It outranks what `state` says: that may be a restored backup, or lack what was recorded just before a
    crash.
    In force from the start is what was registered by its selectors: no server needs to be found for that.
    """

    def __init__(
        self,
        state: State,
        acts: Acts,
        clock: Callable[[], float],
        *,
        ended: Mapping[str, float] | None = None,
        withheld: Mapping[str, tuple[LifeState, float]] | None = None,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self.state, self.acts, self.clock = state, acts, clock
        self.one_act = asyncio.Lock()  # what an act looked at stays so until it is kept
        self.humans = {human.name: human for human in state.humans()}
        self.workloads = Enrolled()
        self.known_workloads = {workload.spiffe_id: workload for workload in state.workloads()}
        self.tasks = {task.id: task for task in state.tasks() if task.expires > clock() - KEEP_ENDED_SECONDS}
        self.sessions = {one.id: one for one in state.sessions() if one.expires > clock() - KEEP_ENDED_SECONDS}
        self.endings, self.deadlines = Endings(state, acts), Deadlines(clock, steady)
        self.latest = Latest(clock)
        self.narrowed: Callable[[], None] = _nobody_yet
        """Told as soon as something has ended, before that is written: gateways need not wait for the disk."""
        self._end_again(ended or {})
        self._withhold_again(withheld or {})
        self._end_what_was_cut()
        self.workloads.update({key: one for key, one in self.known_workloads.items() if one.found == REGISTERED})

    def human_of(self, uid: int) -> Human | None:
        """Whose account it is; also for threads beside the event loop."""
        return next((human for human in tuple(self.humans.values()) if uid in human.uids), None)

    def known_named(self, name: str) -> Workload:
        """The workload of this name or SPIFFE ID, in force or not; raises NotFoundError."""
        for workload in self.known_workloads.values():
            if name in {workload.name, str(workload.spiffe_id)}:
                return workload
        raise NotFoundError(f"no workload is called `{name}`", hint="`remit workload list` shows what is known")

    def workload_named(self, name: str) -> Workload:
        """The workload in force with this name or SPIFFE ID; raises NotFoundError with the names there are."""
        for workload in self.workloads.values():
            if name in {workload.name, str(workload.spiffe_id)}:
                return workload
        living = (one for one in self.workloads.values() if one.state is not LifeState.RETIRED)
        names = ", ".join(f"`{one.name}`" for one in living) or "none"
        raise NotFoundError(f"no workload is called `{name}`", hint=f"known here: {names}")

    def keep_human(self, human: Human) -> None:
        self.state.save_human(human)
        self.humans[human.name] = human

    def keep_workload(self, workload: Workload) -> None:
        self.state.save_workload(workload)
        self.workloads[workload.spiffe_id] = self.known_workloads[workload.spiffe_id] = workload

    def own_again(self, owners: Mapping[str, tuple[str, float]]) -> None:
        """Give workloads to whom the log says they went last: pseudonyms, and when, by SPIFFE ID.

        It outranks what is kept. Their tasks from before that end: a crash may have come between the two.
        """
        names = {human.person: human.name for human in self.humans.values()}
        for known in list(self.known_workloads.values()):
            person, since = owners.get(str(known.spiffe_id), ("", 0.0))
            name = names.get(person, known.owner)
            if name != known.owner:
                self.replace_workload(dataclasses.replace(known, owner=name))
            before = [task for task in self.tasks.values() if task.started < since]
            self._end_again({task.id: since for task in before if task.involves(known.spiffe_id)})
        self._end_what_was_cut()

    def replace_workload(self, workload: Workload) -> None:
        """Keep a known workload as it is now: in force if it was, else not."""
        self.state.save_workload(workload)
        self.known_workloads[workload.spiffe_id] = workload
        if workload.spiffe_id in self.workloads:
            self.workloads[workload.spiffe_id] = workload

    def keep_task(self, task: Task) -> None:
        self.state.save_task(task)
        self.tasks[task.id] = task

    def forget_tasks(self, ids: Collection[str]) -> None:
        """Keep these no longer. The log says all that they were, and that they ended."""
        self.state.drop_tasks(ids)
        for task_id in ids:
            del self.tasks[task_id]

    async def end_task(self, ended: Task, facts: dict[str, Any]) -> None:
        """It has ended, at once; then that is written, with `facts`."""
        self.tasks[ended.id] = ended
        self.deadlines.forget(ended)
        await self.endings.write(ended, self.humans.get(ended.human), facts)

    async def end_session(self, ended: Session, facts: dict[str, Any]) -> None:
        """As `end_task`."""
        self.sessions[ended.id] = ended
        self.deadlines.forget(ended)
        await self.endings.write(ended, self.humans.get(ended.human), facts)

    def keep_session(self, session: Session) -> None:
        self.state.save_session(session)
        self.sessions[session.id] = session

    def _end_what_was_cut(self) -> None:
        """A crash may come between the end of a task or session and the ends of what was cut from it."""
        for task in sorted(self.tasks.values(), key=lambda task: task.started):  # what was cut began later
            if task.parent is not None and task.ended is None:
                parent = self.tasks.get(task.parent) or self.sessions.get(task.parent)
                if parent is None or parent.ended is not None:
                    self.keep_task(dataclasses.replace(task, ended=self.clock() if parent is None else parent.ended))

    def _end_again(self, ended: Mapping[str, float]) -> None:
        for session in [one for one in self.sessions.values() if one.id in ended and one.ended is None]:
            self.keep_session(dataclasses.replace(session, ended=ended[session.id]))
        for task in [one for one in self.tasks.values() if one.id in ended and one.ended is None]:
            self.keep_task(dataclasses.replace(task, ended=ended[task.id]))

    def _withhold_again(self, withheld: Mapping[str, tuple[LifeState, float]]) -> None:
        for known in list(self.known_workloads.values()):
            after, since = withheld.get(str(known.spiffe_id), (known.state, known.state_since))
            if known.state not in {after, FINAL}:
                again = dataclasses.replace(known, state=after, state_since=since)
                self.state.save_workload(again)
                self.known_workloads[known.spiffe_id] = again
            if after in WITHHELD:  # a crash may come between this and the ends of its tasks
                self._end_again({task.id: since for task in self.tasks.values() if task.involves(known.spiffe_id)})


def _nobody_yet() -> None:
    """Before there are gateways."""
