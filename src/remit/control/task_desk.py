"""The desk's answers about tasks: started, shown, extended and ended by people."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from remit.control import task_rows
from remit.control.launches import Launches
from remit.control.proving import Proving
from remit.control.realm import Realm
from remit.control.registering import person_named
from remit.control.roles import Reach
from remit.control.visitor import NotAdmittedError, Visitor
from remit.detect import Label
from remit.errors import AttestationError, NotFoundError, UsageError
from remit.identity import Process, SpiffeId
from remit.inventory import Human, Workload
from remit.persons import Act, Kind, Shown
from remit.policy import Snapshot
from remit.policy.profiles import PLACE, is_profile, profiles_of
from remit.tasks import Budget, Narrowing, Task
from remit.tasks.profile import SUFFIX, Profile
from remit.tasks.terms import Terms, terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a task is asked to be. `part` is all but its life; what isn't said is as its `profile` has it.

    `human`: whom it is for, if not who asks. `agent`: the one workload that may use it. `pid`: the process with which
    it ends, `launched`: the very process that asks.
    """

    on: str
    part: Narrowing
    seconds: float | None = None
    purpose: str = ""
    profile: str = ""
    human: str = ""
    agent: str = ""
    pid: int = 0
    launched: bool = False


class TaskDesk:
    """Answers about the tasks in `realm`. `doors` are the ways to call each workload, by name."""

    def __init__(
        self,
        realm: Realm,
        launches: Launches,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        proving: Proving,
        observe: Callable[[int], Process],
        doors: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._realm, self._launches, self._deliver = realm, launches, deliver
        self._proving, self._observe, self._doors = proving, observe, doors

    def running(self, reach: Reach) -> list[dict[str, Any]]:
        """Those that are theirs to see."""
        return task_rows.running(self._realm, reach, self._realm.clock())

    def show(self, who: Visitor, task_id: str) -> dict[str, Any]:
        """All that is kept of one, also of one that ended within the last day; raises NotFoundError."""
        task = self._realm.tasks.get(task_id)
        if task is None:
            raise NotFoundError(f"no task is called `{task_id}`", hint="`remit task list` shows those that run")
        if not task_rows.sees(self._realm, who.reach, task):
            raise NotAdmittedError(f"task `{task_id}` is another person's")
        return task_rows.whole(self._realm, task, self._realm.clock())

    async def start(self, who: Visitor, asked: Beginning) -> dict[str, Any]:
        """Start a task; its token is in the answer and nowhere else.

        What its profile makes of what is asked is shown to whoever proves that they want it, and started.
        """
        who.check_not_governed()
        made = terms(asked.part, asked.seconds, asked.purpose, self._profile(asked.profile))
        proof = await self._proving.require(who, Act.TASK_START, _shown(who, asked, made))
        human = person_named(self._realm, asked.human) if asked.human else who.human
        task, token = await self._realm.tasking.start(
            who.human,
            self._theirs(who, asked.on).spiffe_id,
            made.reach.actions,
            purpose=made.purpose,
            seconds=made.seconds,
            proof=proof.kind.value,
            human=human,
            launched=await self._process(who, asked, human),
            reach=made.reach,
            profile=made.profile,
            agent=self._agent(who, asked.agent),
        )
        await self._launches.watch(task)
        settled = await self._deliver(self._realm.snapshot())
        door = self._doors.get(self._realm.workloads[task.on].name, {})
        there = self._realm.presence.get(human.name, "unknown")
        begun = {"task": task_rows.public(task.to_dict()), "token": token, "door": door, "presence": there}
        return {**begun, "pending": not settled}

    async def extend(self, who: Visitor, task_id: str, seconds: float | None, budget: Budget) -> dict[str, Any]:
        """Let a task of theirs last longer or spend more, never more than its profile: whoever asks proves it."""
        who.check_not_governed()
        task = self._governed(who, task_id)
        if seconds is None and not budget.to_dict():
            raise UsageError("nothing is extended", hint="`--for 2h` from now on, or `--calls 500` in all")
        asked = Shown.of(task=task_id, on=str(task.on), seconds=seconds, budget=budget.to_dict())
        proof = await self._proving.require(who, Act.TASK_EXTEND, asked)
        profile = self._profile(task.profile)
        more = await self._realm.tasking.extend(
            task_id, who.human, proof.kind.value, seconds=seconds, budget=budget, profile=profile
        )
        settled = await self._deliver(self._realm.snapshot())
        shown = task_rows.row(self._realm, more, self._realm.clock())
        return {"task": shown, "proof": proof.kind.value, "pending": not settled}

    async def say(self, who: Visitor, task_id: str, text: str) -> dict[str, Any]:
        """Take the words of the person whose task it is: nobody else's, and none on the strength of a uid alone."""
        who.check_not_governed()
        task = self._realm.tasking.running(task_id)
        if task.human != who.human.name:
            raise NotAdmittedError(f"task `{task_id}` is another person's")
        proof = await self._proving.require(who, Act.TASK_SAY, Shown.of(task=task_id, text=text))
        if not proof.kind.reaches(Kind.TERMINAL):
            raise NotAdmittedError(
                "by a uid alone nobody's words are taken: an agent has that too", hint="say it at a terminal of yours"
            )
        heard = await self._realm.words.say(task, who.human, text, proof.kind)
        return {"characters": len(text), "proof": proof.kind.value, "heard": heard}

    async def end(self, who: Visitor, task_id: str, why: str) -> dict[str, Any]:
        """End one that is theirs; what couldn't be written of it is told."""
        self._governed(who, task_id)
        ended = await self._realm.tasking.end(task_id, why)
        settled = await self._deliver(self._realm.snapshot())
        unrecorded = self._realm.endings.unrecorded.get(task_id, "")
        return {"task": task_rows.public(ended.to_dict()), "pending": not settled, "unrecorded": unrecorded}

    def _governed(self, who: Visitor, task_id: str) -> Task:
        """The task, which is the visitor's to change: theirs, or on what they own."""
        task = self._realm.tasks.get(task_id)
        if task is None:
            raise NotFoundError(f"no task `{task_id}` is running", hint="`remit task list` shows those that are")
        target = self._realm.known_workloads.get(task.on)
        if not any(map(who.reach.governs, {task.human, target.owner if target is not None else ""})):
            raise NotAdmittedError(f"task `{task_id}` is another person's")
        return task

    def _profile(self, name: str) -> Profile | None:
        """The profile of that name that is in force; raises NotFoundError with those that are."""
        if not name:
            return None
        files = {file.name: file for file in self._realm.policies.files if is_profile(file.name)}
        file = files.get(f"{PLACE}{name}{SUFFIX}")
        if file is None:
            there = ", ".join(one.removeprefix(PLACE).removesuffix(SUFFIX) for one in sorted(files)) or "none"
            raise NotFoundError(f"there is no profile `{name}`", hint=f"profiles here: {there}")
        return profiles_of([file])[name]

    def _theirs(self, who: Visitor, name: str) -> Workload:
        """The workload in force of that name, which is the visitor's to see."""
        workload = self._realm.workload_named(name)
        who.reach.check_sees(f"`{name}`", workload.owner, workload.uid)
        return workload

    def _agent(self, who: Visitor, name: str) -> SpiffeId | None:
        return self._theirs(who, name).spiffe_id if name else None

    async def _process(self, who: Visitor, asked: Beginning, human: Human) -> tuple[int, int] | None:
        """The process with which it ends: one of the person whose task it is."""
        if asked.launched:
            return who.process.pid, who.process.start
        if not asked.pid:
            return None
        try:
            process = await asyncio.to_thread(self._observe, asked.pid)
        except AttestationError as error:
            raise UsageError(f"process {asked.pid} can't be looked at: {error}", hint="is it running?") from error
        if process.uid not in human.uids:
            raise NotAdmittedError(f"process {asked.pid} is not {human.name}'s")
        return process.pid, process.start


def _shown(who: Visitor, asked: Beginning, made: Terms) -> Shown:
    """All that the task would be. What a task without a profile and without lists has not is left out."""
    reach = made.reach
    more: dict[str, Any] = {
        "profile": made.profile,
        **{f"tool {at}": grant.to_dict() for at, grant in enumerate(reach.tools, 1)},
        "destinations": reach.destinations,
        "budget": reach.budget.to_dict(),
        "present": reach.present,
        "ceiling": "" if reach.ceiling is Label.RESTRICTED else reach.ceiling.value,
        "agent": asked.agent,
        "process": asked.pid,
    }
    return Shown.of(
        on=asked.on,
        actions=reach.actions,
        purpose=made.purpose,
        seconds=made.seconds,
        human=asked.human or who.human.name,
        launched=asked.launched,
        **{key: value for key, value in more.items() if value},
    )
