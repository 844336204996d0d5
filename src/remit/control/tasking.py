"""Tasks: started, on record before they are in force; and ended for good, in force before that is on record."""

import dataclasses
import secrets
from collections.abc import Callable, Container
from typing import Any, Final

from remit.control.book import Book
from remit.detect import Label
from remit.errors import NotFoundError, UsageError
from remit.identity import SpiffeId
from remit.inventory import Human
from remit.inventory.lifecycle import LifecycleError, standing
from remit.policy.intent import Action
from remit.tasks import Budget, Reach, Task
from remit.tasks.declaration import ACTIONS
from remit.tasks.delegation import with_what_was_cut
from remit.tasks.profile import MAX_SECONDS, Profile
from remit.tasks.terms import extended
from remit.tasks.token import mint

PARTS_KEPT: Final = 3600.0  # seconds
OVER: Final = "its time is over"
CUT_FROM_IT: Final = "the task that it was cut from has ended"
_NAMED: Final = frozenset(action.value for action in Action)
LATE: Final = "it ended while the log took nothing, or with what it was cut from"


class Tasking:
    """Acts on the tasks in `book`."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def start(
        self,
        starter: Human,
        on: SpiffeId,
        actions: tuple[str, ...],
        *,
        purpose: str,
        seconds: float,
        proof: str,
        human: Human | None = None,
        launched: tuple[int, int] | None = None,
        reach: Reach | None = None,
        profile: str = "",
        agent: SpiffeId | None = None,
    ) -> tuple[Task, str]:
        """Start a task for `human`, or for its starter; the task and its bearer token, which is kept nowhere.

        `launched` is the process with which it ends. `reach` is what it lists beside its actions. With an `agent`
        nobody else can use it.
        """
        async with self._book.one_act:
            if not 0 < seconds <= MAX_SECONDS:
                raise UsageError(
                    "a task lasts more than 0 seconds and at most 7 days", hint="for example `--for 30m`"
                )
            self.check(starter, on, actions)
            now, human = self._book.clock(), human or starter
            self._check_agent(agent, human)
            token, digest = mint(secrets.token_bytes(32))
            chain, lists = (agent,) if agent is not None else (), reach or Reach()
            task = Task(
                fresh_id(), human.name, on, actions, purpose, now, now + seconds, digest, proof,
                chain=chain, launched=launched, profile=profile, tools=lists.tools, ceiling=lists.ceiling,
                destinations=lists.destinations, budget=lists.budget, present=lists.present,
            )  # fmt: skip
            await self._book.acts("task.started", task.id, starter.person, {**facts(task), "for": human.person})
            self._book.keep_task(task)
            return task, token

    async def extend(
        self, task_id: str, by: Human, proof: str, *, seconds: float | None, budget: Budget, profile: Profile | None
    ) -> Task:
        """Let a task go on for longer, or spend more; raises NotFoundError, UsageError, WiderError.

        On record before it is in force. What is counted meanwhile stays counted.
        """
        async with self._book.one_act:
            task = self.running(task_id)
            self.check(by, task.on, task.actions)
            more = extended(task, seconds, budget, profile, self._book.clock())
            told = {**facts(more), "proof": proof, "was": round(task.expires, 3)}
            await self._book.acts("task.extended", task_id, by.person, told)
            kept = dataclasses.replace(self._book.tasks[task_id], expires=more.expires, budget=more.budget)
            self._book.keep_task(kept)
            self._book.deadlines.forget(kept)
            return kept

    def running(self, task_id: str) -> Task:
        """The live task of this id; raises NotFoundError."""
        task = self._book.tasks.get(task_id)
        if task is None or task.ended is not None or self._book.clock() >= task.expires:
            raise NotFoundError(f"no task `{task_id}` is running", hint="`remit task list` shows those that are")
        return task

    async def end(self, task_id: str, why: str) -> Task:
        """End a task; it stays ended, also when that can't be written (`Book.unrecorded`). Raises NotFoundError."""
        async with self._book.one_act:
            self.running(task_id)
            await self._end_those(lambda one: one.id == task_id, why)
            return self._book.tasks[task_id]

    async def end_all_on(self, spiffe_id: SpiffeId, why: str) -> None:
        """End every live task on a workload, or that passed through its hands; for an act that is under way."""
        await self._end_those(lambda task: task.involves(spiffe_id), why)

    async def end_all_of(self, parent: str, why: str) -> None:
        """End everything that was cut from this task or session; for an act that is under way."""
        await self._end_those(lambda task: task.parent == parent, why)

    async def end_those_over(self) -> bool:
        """End the sessions and tasks whose time is over; whether there were any."""
        over = self._book.deadlines.over
        async with self._book.one_act:
            sessions = [one for one in self._book.sessions.values() if one.ended is None and over(one)]
            tasks = [one for one in self._book.tasks.values() if one.ended is None and over(one)]
            for session in sessions:
                ended = dataclasses.replace(session, ended=self._book.clock())
                await self._book.end_session(ended, {"why": OVER})
                await self.end_all_of(session.id, "the session that it was cut from has ended")
            await self._end_those(lambda task: task in tasks, OVER)
        return bool(sessions or tasks)

    async def forget_parts(self) -> None:
        """Keep parts no longer than PARTS_KEPT after their end: an agent may ask for one each second of a day."""
        before = self._book.clock() - PARTS_KEPT
        async with self._book.one_act:
            unwritten = self._book.endings.unrecorded
            parts = [one for one in self._book.tasks.values() if one.parent is not None or not one.of_a_person]
            over = [one.id for one in parts if one.ended is not None and one.ended < before]
            gone = [task_id for task_id in over if task_id not in unwritten]
            if gone:
                self._book.forget_tasks(gone)

    async def record_ends(self, recorded: Container[str]) -> None:
        """Record the ends that are kept and not among the `recorded` ones: the log took nothing when they came."""
        async with self._book.one_act:
            for session in [one for one in self._book.sessions.values() if one.id not in recorded]:
                if session.ended is not None:
                    await self._book.end_session(session, {"why": LATE, "ended": round(session.ended, 3)})
            for task in [one for one in self._book.tasks.values() if one.id not in recorded]:
                if task.ended is not None:
                    await self._book.end_task(task, {**facts(task), "why": LATE, "ended": round(task.ended, 3)})

    async def _end_those(self, meant: Callable[[Task], bool], why: str) -> None:
        """All of them have ended at once, with what was cut from them; then that is written, one by one."""
        live = [one for one in self._book.tasks.values() if one.ended is None]
        now, first = self._book.clock(), {one.id for one in live if meant(one)}
        ended = [dataclasses.replace(one, ended=now) for one in with_what_was_cut(first, live)]
        self._book.tasks.update({one.id: one for one in ended})
        if ended:
            self._book.narrowed()
        for one in ended:
            await self._book.end_task(one, {**facts(one), "why": why if one.id in first else CUT_FROM_IT})

    def check(self, human: Human, on: SpiffeId, actions: tuple[str, ...]) -> None:
        """Whether this person may start such a task; raises UsageError or LifecycleError."""
        workload = self._book.workloads.get(on)
        if workload is None or workload.owner != human.name:
            raise UsageError(f"`{on}` is not a workload that {human.name} owns", hint="its owner can start the task")
        self.check_what(on, actions)

    def check_what(self, on: SpiffeId, actions: tuple[str, ...]) -> None:
        """Whether there are such actions and such a workload; raises UsageError or LifecycleError."""
        unknown = [action for action in actions if action not in ACTIONS]
        if unknown or not actions:
            named = unknown[0] if unknown else ""
            none = "is no part of any task" if named in _NAMED else "is no action"
            raise UsageError(f"`{named}` {none}", hint=f"a task's actions are {', '.join(ACTIONS)}")
        workload = self._book.workloads.get(on)
        if workload is None:
            raise UsageError(f"`{on}` is no workload that is in force here")
        if not workload.active:
            raise LifecycleError(f"no task can be started: {standing(workload)}")

    def _check_agent(self, agent: SpiffeId | None, human: Human) -> None:
        """Whoever gets it acts for the person whose it is."""
        if agent is None:
            return
        holder = self._book.workloads.get(agent)
        if holder is None or holder.owner != human.name:
            raise UsageError(f"`{agent}` doesn't act for {human.name}", hint="name a workload that they own")
        if not holder.active:
            raise LifecycleError(f"no task can be given to it: {standing(holder)}")


def fresh_id() -> str:
    """The id of a new task."""
    return "t-" + secrets.token_hex(6)


def facts(task: Task) -> dict[str, Any]:
    """What the log says of a task, beside whose it is."""
    return {
        "workload": str(task.on),
        "actions": list(task.actions),
        "expires": round(task.expires, 3),
        "proof": task.proof,
        **({"parent": task.parent} if task.parent else {}),
        **({"pid": task.launched[0]} if task.launched else {}),
        **({"chain": [str(actor) for actor in task.chain]} if task.chain else {}),
        **_lists(task),
    }


def _lists(task: Task) -> dict[str, Any]:
    """What it lists: tools by name, as the values that bound their arguments may be anybody's."""
    said: dict[str, Any] = {
        "profile": task.profile,
        "tools": [grant.tool for grant in task.tools],
        "destinations": list(task.destinations),
        "budget": task.budget.to_dict(),
        "present": task.present,
        "ceiling": "" if task.ceiling is Label.RESTRICTED else task.ceiling.value,
    }
    return {key: value for key, value in said.items() if value}
