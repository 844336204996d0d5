"""What is in force in this trust domain now: people, workloads, tasks and policies, and the Snapshot of them.

Every change is an act: recorded durably first, then kept, then put in force with the next Snapshot.
"""

import asyncio
import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from remit.errors import NotFoundError, UsageError
from remit.identity import SpiffeId
from remit.inventory import Binding, Human, LifeState, Workload
from remit.inventory.binding import Standing, approve, bound_to, established, standing_of, unproven
from remit.inventory.enrolment import enrolment_facts
from remit.inventory.lifecycle import (
    FINAL,
    PARTICIPLES,
    STRAIGHT_TO_ACTIVE,
    Actor,
    LifecycleError,
    Verb,
    moved,
    same_life,
    standing,
    transition,
)
from remit.inventory.model import Watched
from remit.inventory.registry import Humans, Workloads
from remit.models import ModelIdentity
from remit.policy import Action, PolicyFile, Snapshot
from remit.tasks import Task
from remit.tasks.ledger import Ledger
from remit.tasks.token import mint

MAX_TASK_SECONDS: Final = 7 * 86400.0
KEEP_ENDED_SECONDS: Final = 86400.0


class Acts(Protocol):
    """The port to the audit log: returns when the act is durably recorded; raises AuditError when it can't be."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


class State(Humans, Workloads, Ledger, Protocol):
    """What the realm is kept in."""


@dataclass(frozen=True, slots=True)
class PoliciesInForce:
    """The last good policies. `warning` says why a newer edit is not in force, or is empty."""

    files: tuple[PolicyFile, ...]
    digest: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust domain's public keys, as workers need them."""

    domain: str
    x509_authorities: tuple[bytes, ...]
    jwt_authorities: dict[str, Any]


class Realm:
    """The one place where control's view changes; whoever changes it hands the next `snapshot` to the workers.

    `ended` says when tasks were ended by the log, `withheld` which workloads were suspended or retired and when. It
    outranks what `state` says: that may be a restored backup, or lack what was recorded just before a crash.
    """

    def __init__(
        self,
        trust: Trust,
        state: State,
        acts: Acts,
        clock: Callable[[], float],
        policies: PoliciesInForce,
        *,
        lifetime: float,
        grade: str,
        ended: Mapping[str, float] | None = None,
        withheld: Mapping[str, tuple[LifeState, float]] | None = None,
    ) -> None:
        self.trust, self.policies, self.grade = trust, policies, grade
        self._state, self._acts, self._clock, self._lifetime = state, acts, clock, lifetime
        self._one_act = asyncio.Lock()  # what an act looked at stays so until it is kept
        self._epoch = 0
        self.humans = {human.name: human for human in state.humans()}
        self.workloads: dict[SpiffeId, Workload] = {}
        self.known_workloads = {workload.spiffe_id: workload for workload in state.workloads()}
        self.tasks = {task.id: task for task in state.tasks() if task.expires > clock() - KEEP_ENDED_SECONDS}
        self._end_again(ended or {})
        self._withhold_again(withheld or {})

    def snapshot(self) -> Snapshot:
        """A new version of what is in force, with the next epoch."""
        self._epoch += 1
        return self.current()

    def current(self) -> Snapshot:
        """What is in force, at the epoch it was last given."""
        now = self._clock()
        return Snapshot(
            epoch=self._epoch,
            issued=now,
            lifetime=self._lifetime,
            trust_domain=self.trust.domain,
            grade=self.grade,
            policy_files=self.policies.files,
            policy_set=self.policies.digest,
            policy_warning=self.policies.warning,
            humans=tuple(self.humans.values()),
            workloads=tuple(self.workloads.values()),
            tasks=tuple(task for task in self.tasks.values() if task.live(now)),
            x509_authorities=self.trust.x509_authorities,
            jwt_authorities=self.trust.jwt_authorities,
        )

    async def meet(self, name: str, uids: Iterable[int], *, only: bool = False) -> Human:
        """The person of that name, with a pseudonym made the first time; `uids` are added to theirs.

        With `only` they are all of theirs. A uid acts for one person: taken from whoever had it before, on record.
        """
        async with self._one_act:
            known = self.humans.get(name)
            kept = known.uids if known is not None and not only else ()
            human = Human(name, known.person if known else "p-" + secrets.token_hex(8), tuple(sorted({*uids, *kept})))
            for other in [one for one in self.humans.values() if one.name != name]:
                await self._take_over(other, human)
            if human != known:
                self._keep_human(human)
            return human

    async def _take_over(self, other: Human, human: Human) -> None:
        taken = sorted(set(other.uids) & set(human.uids))
        if taken:
            await self._acts("person.accounts", other.person, human.person, {"taken": taken})
            self._keep_human(dataclasses.replace(other, uids=tuple(sorted(set(other.uids) - set(taken)))))

    def _keep_human(self, human: Human) -> None:
        self._state.save_human(human)
        self.humans[human.name] = human

    def _keep_workload(self, workload: Workload) -> None:
        self._state.save_workload(workload)
        self.workloads[workload.spiffe_id] = self.known_workloads[workload.spiffe_id] = workload

    def _end_again(self, ended: Mapping[str, float]) -> None:
        for task in [one for one in self.tasks.values() if one.id in ended and one.ended is None]:
            self._keep_task(dataclasses.replace(task, ended=ended[task.id]))

    def _withhold_again(self, withheld: Mapping[str, tuple[LifeState, float]]) -> None:
        for known in list(self.known_workloads.values()):
            after, since = withheld.get(str(known.spiffe_id), (known.state, 0.0))
            if known.state not in {after, FINAL}:
                again = dataclasses.replace(known, state=after, state_since=since)
                self._state.save_workload(again)
                self.known_workloads[known.spiffe_id] = again
                self._end_again({task.id: since for task in self.tasks.values() if task.on == known.spiffe_id})

    def _keep_task(self, task: Task) -> None:
        self._state.save_task(task)
        self.tasks[task.id] = task

    async def act(self, what: str, subject: str, facts: dict[str, Any]) -> None:
        """Record something control does by itself, for no person."""
        await self._acts(what, subject, None, facts)

    def human_of(self, uid: int) -> Human | None:
        return next((human for human in self.humans.values() if uid in human.uids), None)

    async def enrol(self, workload: Workload) -> Workload:
        """Give a workload its identity: one that is known goes on with its life, a new one becomes active.

        It must have an owner that is known here; one without any is merely discovered, and is kept so.
        """
        async with self._one_act:
            if known := self.known_workloads.get(workload.spiffe_id):
                workload = same_life(workload, known)
            owner = self.humans.get(workload.owner)
            if owner is None and (workload.owner or workload.state is not LifeState.DISCOVERED):
                raise UsageError(f"`{workload.name}` has no owner that is known here", hint="name one: --owner NAME")
            person = owner.person if owner is not None else None
            await self._acts("workload.enrolled", str(workload.spiffe_id), person, enrolment_facts(workload))
            if workload.state is LifeState.DISCOVERED and owner is not None:
                for verb in STRAIGHT_TO_ACTIVE:
                    workload = await self._recorded(workload, verb, Actor.REMIT, owner, {})
            self._keep_workload(workload)
            return workload

    async def move(self, spiffe_id: SpiffeId, verb: Verb, actor: Actor, by: Human | None, proof: str) -> Workload:
        """Move a workload on in its life; raises LifecycleError. What its new state ends, ends with it.

        `by` is who asked for it, and owns it from then on if that was the verb; None is Remit itself.
        """
        async with self._one_act:
            before = self.known_workloads[spiffe_id]
            row = transition(before, verb, actor)
            after = await self._recorded(before, verb, actor, by, {"proof": proof})
            self._state.save_workload(after)
            self.known_workloads[spiffe_id] = after
            if spiffe_id in self.workloads:
                self.workloads[spiffe_id] = after
            if row.effect.ends:
                now = self._clock()
                for task in [one for one in self.tasks.values() if one.on == spiffe_id and one.live(now)]:
                    await self._end(task, f"its workload was {PARTICIPLES[verb]}")
            return after

    async def _recorded(
        self, workload: Workload, verb: Verb, actor: Actor, by: Human | None, facts: dict[str, Any]
    ) -> Workload:
        """The workload as it is after `verb`, which is on record."""
        owner = by.name if by is not None else ""
        after = moved(workload, verb, actor, now=self._clock(), owner=owner)
        facts = {"from": workload.state.value, "to": after.state.value, "by": actor.value, **facts}
        person = by.person if by is not None else None
        await self._acts(f"workload.{PARTICIPLES[verb]}", str(workload.spiffe_id), person, facts)
        return after

    async def leave(self, workload: Workload, why: str) -> None:
        """Take a workload out of force (its server is gone), also when the log doesn't take it; its row is kept."""
        async with self._one_act:
            self.workloads.pop(workload.spiffe_id, None)
            await self._acts("workload.left", str(workload.spiffe_id), None, {"why": why})

    async def digest_known(
        self,
        spiffe_id: SpiffeId,
        name: str,
        digest: str,
        identity: ModelIdentity | None = None,
        watched: Watched = (),
    ) -> Standing | None:
        """What a model is was established, or can't be; how it stands to what its server is bound to."""
        async with self._one_act:
            workload = self.workloads.get(spiffe_id)
            known = next((one for one in workload.models if one.name == name), None) if workload else None
            if workload is None or known is None:
                return None
            model = dataclasses.replace(known, digest=digest, identity=identity, watched=watched)
            workload = established(workload, model)
            facts = {"model": name, "digest": digest}
            whole = {"identity": identity.digest} if identity is not None else {}
            await self._acts("model.digest", str(spiffe_id), None, {**facts, **whole})
            now = standing_of(workload, model)
            if now is Standing.CHANGED:
                await self._acts(
                    "model.changed", str(spiffe_id), None, {**facts, **whole, "was": bound_to(workload, name)}
                )
            self._keep_workload(workload)
            return now

    async def model_lost(self, spiffe_id: SpiffeId, name: str) -> None:
        """A file of a model is no longer what was read: its server lost its identity, until it is read anew."""
        async with self._one_act:
            workload = self.workloads.get(spiffe_id)
            if workload is not None:
                await self._acts("model.lost", str(spiffe_id), None, {"model": name})
                self._keep_workload(unproven(workload, name))

    async def approve_model(
        self, human: Human, spiffe_id: SpiffeId, name: str, digest: str | None, proof: str
    ) -> Binding:
        """Bind a server to its model as it is now, by its owner's word; raises UsageError."""
        async with self._one_act:
            workload = self.workloads[spiffe_id]
            if workload.owner != human.name:
                raise UsageError(f"`{workload.name}` is not a workload that {human.name} owns", hint="its owner can")
            approved = approve(workload, name, digest)
            bound = approved.bindings[-1]
            facts = {"model": name, "digest": bound.identity.weights, "identity": bound.identity.digest}
            await self._acts("model.approved", str(spiffe_id), human.person, {**facts, "proof": proof})
            self._keep_workload(approved)
            return bound

    async def put_policies(self, policies: PoliciesInForce) -> None:
        """Put a new set in force, or keep the last good one with a warning about the newer edit."""
        async with self._one_act:
            what = "policy.rejected" if policies.warning else "policy.loaded"
            await self._acts(what, policies.digest, None, {"why": policies.warning})
            self.policies = policies

    async def start_task(
        self, human: Human, on: SpiffeId, actions: tuple[str, ...], *, purpose: str, seconds: float, proof: str
    ) -> tuple[Task, str]:
        """Start a task; the task and its bearer token, which is shown once and kept nowhere."""
        async with self._one_act:
            self._check_task(human, on, actions, seconds)
            now = self._clock()
            token, digest = mint(secrets.token_bytes(32))
            task = Task(
                "t-" + secrets.token_hex(6), human.name, on, actions, purpose, now, now + seconds, digest, proof
            )
            await self._acts("task.started", task.id, human.person, _facts(task))
            self._keep_task(task)
            return task, token

    async def end_task(self, task_id: str, why: str) -> Task:
        """End a task; it stays ended. Raises NotFoundError for one that isn't running."""
        async with self._one_act:
            task = self.tasks.get(task_id)
            now = self._clock()
            if task is None or not task.live(now):
                raise NotFoundError(f"no task `{task_id}` is running", hint="`remit task list` shows those that are")
            return await self._end(task, why)

    async def _end(self, task: Task, why: str) -> Task:
        ended = dataclasses.replace(task, ended=self._clock())
        human = self.humans.get(task.human)
        await self._acts("task.ended", task.id, human.person if human else None, {**_facts(ended), "why": why})
        self._keep_task(ended)
        return ended

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
        names = ", ".join(f"`{workload.name}`" for workload in self.workloads.values()) or "none"
        raise NotFoundError(f"no workload is called `{name}`", hint=f"guarded now: {names}")

    def _check_task(self, human: Human, on: SpiffeId, actions: tuple[str, ...], seconds: float) -> None:
        known = {action.value for action in Action}
        unknown = [action for action in actions if action not in known]
        if unknown or not actions:
            raise UsageError(
                f"`{unknown[0] if unknown else ''}` is not an action", hint=f"actions are {', '.join(Action)}"
            )
        if not 0 < seconds <= MAX_TASK_SECONDS:
            raise UsageError("a task lasts more than 0 seconds and at most 7 days", hint="for example `--for 30m`")
        workload = self.workloads.get(on)
        if workload is None or workload.owner != human.name:
            raise UsageError(f"`{on}` is not a workload that {human.name} owns", hint="its owner can start the task")
        if not workload.active:
            raise LifecycleError(f"no task can be started: {standing(workload)}")


def _facts(task: Task) -> dict[str, Any]:
    return {
        "workload": str(task.on),
        "actions": list(task.actions),
        "expires": round(task.expires, 3),
        "proof": task.proof,
    }
