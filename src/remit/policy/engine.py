"""May it: the one place where an intent becomes a Permit or is refused."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NoReturn

from remit.identity import Caller, Process, SpiffeId
from remit.inventory import Workload
from remit.policy import observing as observed
from remit.policy.approval import Approval
from remit.policy.emergency import Emergency, under_one_of
from remit.policy.in_force import InForce
from remit.policy.intent import SERVER, Intent
from remit.policy.missing import missing
from remit.policy.permit import ApprovalNeededError, Permit, PolicyRef, RefusedError
from remit.policy.policy_set import PolicySet
from remit.policy.question import Question, fits, in_a_task, of_intent
from remit.policy.refusal import (
    EXPIRED,
    NO_SUCH_WORKLOAD,
    NOT_AS_LISTED,
    UNKNOWN_CALLER,
    Owned,
    Reason,
    beyond_task,
    by_errors,
    by_verdict,
    needs_approval,
    not_active,
    outside_task,
    refused_finding,
)
from remit.policy.snapshot import Snapshot
from remit.policy.somebody_there import nobody_there
from remit.policy.thing import Thing, ThingKind
from remit.policy.verdict import Verdict
from remit.tasks import Task

CACHED: Final = 4_096  # decisions kept; with the bounds below each takes at most about 2 kB
MAX_CACHED_TEXT: Final = 512  # characters that were asked with, together; longer ones are decided each time
MAX_CACHED_FOUND: Final = 16

Target = Workload | Thing


@dataclass(frozen=True, slots=True)
class _Decided:
    """A cached outcome: the verdict, and the reason when it ends in a refusal."""

    verdict: Verdict
    reason: Reason | None


class Engine:
    """Decides by one Snapshot. Immutable but for its caches; not shared between threads.

    The caches need no epoch in their keys: an Engine has one policy epoch and one entity epoch, and
    ends with them. `after` is the engine of the snapshot before: what did not change is taken over from it.
    Raises PolicyError when the snapshot's policies don't load or aren't those that `policy_set` names.
    """

    def __init__(self, snapshot: Snapshot, after: "Engine | None" = None) -> None:
        self.snapshot = snapshot
        self.in_force: InForce = InForce(snapshot, after.in_force if after is not None else None)
        self._tasks = {task.id: task for task in snapshot.tasks}
        self._decided: OrderedDict[object, _Decided] = OrderedDict()

    @property
    def policies(self) -> PolicySet:
        return self.in_force.policies

    def decide(self, intent: Intent, now: float, decision_id: str, approval: Approval | None = None) -> Permit:
        """Decide `intent` at `now` (Unix seconds); raises RefusedError with the rule, what is missing, whom to ask.

        ApprovalNeededError where policies permit it once somebody agrees, and `approval` isn't of exactly this.

        1. the snapshot is alive
        2. resource and caller are in it, and active; what is acted on is as the catalogue has it
        3. a task that came with the request is live, is its human's and in its hands, and covers the request; and its
           human is there, where it takes that
        4. Cedar permits it: default deny, forbid beats permit, an error never allows. While break-glass is open, its
           built-in policy stands in the place of this set for the person who opened it, and for model servers alone
        5. every finding may be let through or masked
        6. what takes an approval has one: for this very intent, under these very policies; and only so anything goes
           beyond what the task lists
        7. the permit, good as long as snapshot and task are

        Where policies are only observed, what they refuse in steps 4 to 6 goes through (`observing.py`).

        Left to the caller: to know who calls, to find what is in the text, and to write this down first.
        """
        # 1
        ends, lifetime = self.in_force.ends, self.snapshot.lifetime
        if not ends - 2 * lifetime <= now < ends:
            self._refuse(intent, decision_id, EXPIRED, status=503)
        # 2
        target = self._target(intent, decision_id)
        if not self.in_force.world.knows(intent.caller.spiffe_id, enrolled=intent.caller.enrolled):
            self._refuse(intent, decision_id, UNKNOWN_CALLER)
        if (idle := self.idle(intent.resource, intent.caller)) is not None:
            self._refuse(intent, decision_id, not_active(idle))
        # 3
        task = self._task(intent, target, now, decision_id)
        # 4 and 5
        emergency = self.snapshot.emergency
        if emergency is not None and intent.action in SERVER and self.in_emergency(intent.caller, now):
            return self._by_break_glass(intent, emergency, decision_id)
        decided = self._outcome(intent, target, task)
        verdict, observing = decided.verdict, self.snapshot.observing
        if decided.reason is not None and not (observing and observed.goes_through(decided.reason)):
            self._refuse(intent, decision_id, decided.reason, verdict.refs)
        # 6
        needed = verdict.approver
        if not needed and task is not None and not fits(intent, task):
            self._refuse(intent, decision_id, beyond_task(task, target), verdict.refs)
        asks = bool(needed) and (approval is None or not approval.holds(intent, self.policies.digest, needed, now))
        if asks and not (observing and (task is None or fits(intent, task))):
            _needs_approval(intent, target, verdict, decision_id)
        # 7
        return Permit(
            decision_id,
            intent.digest,
            verdict.refs if verdict.allowed else (),
            observed.masked(verdict.plan) if observing else verdict.plan,
            self.policies.digest,
            self.snapshot.epoch,
            ends if task is None else min(ends, task.expires),
            observed.would_refuse(verdict, decided.reason, asks=asks),
        )

    def in_emergency(self, caller: Caller, now: float) -> bool:
        """Whether break-glass is open for this caller: nothing that it runs under may be a workload."""
        emergency = self.snapshot.emergency
        if emergency is None or not emergency.covers(caller, now):
            return False
        return caller.process is not None and not under_one_of(caller.process, self.snapshot.workloads)

    def thing(self, kind: ThingKind, named: str) -> Thing:
        """What the catalogue lists under that name; else what stands for all that it doesn't."""
        return self.in_force.thing(kind, named)

    def workload(self, spiffe_id: SpiffeId) -> Workload | None:
        """The enrolled workload of this ID, if the snapshot has it."""
        return self.in_force.world.workloads.get(spiffe_id)

    def workload_of(self, process: Process) -> Workload | None:
        """The enrolled workload that `process` is, if any; raises AttestationError when it is two of them."""
        return self.in_force.world.workloads.of(process)

    def idle(self, resource: SpiffeId, caller: Caller | None) -> Workload | None:
        """Which of the two is in the snapshot but not active, if one is: nothing goes on between them then."""
        return self.in_force.idle(resource, caller)

    def task(self, named: str | None) -> Task | None:
        """The task of this id, if the snapshot has it."""
        return self._tasks.get(named) if named is not None else None

    def _target(self, intent: Intent, decision_id: str) -> Target:
        """What is acted on: an enrolled workload, or a thing as it is listed, of one or of the whole trust domain."""
        resource = self.workload(intent.resource)
        if intent.thing is None or intent.resource.path:
            if resource is None:
                self._refuse(intent, decision_id, NO_SUCH_WORKLOAD)
            if intent.thing is None:
                return resource
        offered_by = intent.thing.attributes.get("server") or str(intent.resource)
        if self.thing(intent.thing.kind, intent.thing.id) != intent.thing or offered_by != str(intent.resource):
            self._refuse(intent, decision_id, NOT_AS_LISTED)
        return intent.thing

    def _task(self, intent: Intent, target: Target, now: float, decision_id: str) -> Task | None:
        """The live task that came with the request, None without one; refuses one that doesn't cover it."""
        if intent.caller.task is None:
            return None
        task = self.task(intent.caller.task)
        on = intent.resource if intent.thing is None else None
        covers = task is not None and task.covers(intent.action.value, on, now)
        its_own = task is not None and task.human == intent.caller.human and task.held_by(intent.caller.spiffe_id)
        if task is None or not covers or not its_own:
            would = self.in_force.ask(in_a_task(self._question(intent, target, None)))
            self._refuse(intent, decision_id, outside_task(intent, target, task, now, would))
        if (nobody := nobody_there(task, intent)) is not None:
            self._refuse(intent, decision_id, nobody)
        return task

    def _outcome(self, intent: Intent, target: Target, task: Task | None) -> _Decided:
        declared = task if task is not None and task.of_a_person else None  # a workload's own declares nothing
        key = _key(intent, declared)
        decided = self._decided.get(key) if key is not None else None
        if decided is None:
            decided = self._fresh(intent, target, self._question(intent, target, declared))
            if key is not None:
                self._keep(key, decided)
        return decided

    def _question(self, intent: Intent, target: Target, task: Task | None) -> Question:
        return of_intent(intent, self.in_force.owner(intent.caller), target, task, self.snapshot.grade)

    def _keep(self, key: object, decided: _Decided) -> None:
        self._decided[key] = decided
        if len(self._decided) > CACHED:
            self._decided.popitem(last=False)

    def _fresh(self, intent: Intent, target: Target, question: Question) -> _Decided:
        verdict = self.in_force.ask(question)
        if verdict.errors:
            return _Decided(verdict, by_errors(target))
        if not verdict.allowed:
            lacking = missing(question, target.name, self.in_force.otherwise(question, verdict))
            return _Decided(verdict, by_verdict(verdict, lacking, target))
        return _Decided(verdict, refused_finding(intent, target, verdict))

    def _by_break_glass(self, intent: Intent, emergency: Emergency, decision_id: str) -> Permit:
        """What the detector found is masked, as where no policy says otherwise."""
        until = min(self.in_force.ends, emergency.until)
        digest, epoch = self.policies.digest, self.snapshot.epoch
        return Permit(decision_id, intent.digest, (emergency.policy(),), {}, digest, epoch, until)

    def _refuse(
        self,
        intent: Intent,
        decision_id: str,
        reason: Reason,
        policies: tuple[PolicyRef, ...] = (),
        status: int = 403,
    ) -> NoReturn:
        target = intent.thing or self.workload(intent.resource)
        raise RefusedError(
            reason.message(intent, target.name if target else str(intent.resource)),
            decision_id=decision_id,
            rule=reason.rule,
            policies=policies,
            missing=reason.missing,
            hint=reason.hint,
            status=status,
        )


def _needs_approval(intent: Intent, target: Owned, verdict: Verdict, decision_id: str) -> NoReturn:
    needed = verdict.approver
    raise ApprovalNeededError(
        needs_approval(intent, target, needed),
        approver=needed.word,
        decision_id=decision_id,
        policies=tuple(policy.ref for policy in verdict.policies if policy.approver is needed),
    )


def _key(intent: Intent, task: Task | None) -> object | None:
    """All that a decision depends on within one engine; None for what is too large to keep."""
    caller = intent.caller
    text = len(intent.model or "") + len(intent.route) + intent.circumstances.size
    if len(intent.found) > MAX_CACHED_FOUND or text > MAX_CACHED_TEXT:
        return None
    return (
        caller.spiffe_id,
        caller.human,
        caller.proof,
        caller.enrolled,
        caller.exhaustive,
        caller.task,
        intent.action,
        intent.resource,
        intent.route,
        intent.model,
        intent.model_digest,
        intent.model_approved,
        intent.stream,
        intent.found,
        intent.thing and (intent.thing.kind, intent.thing.id),
        intent.circumstances,
        task is None or fits(intent, task),
    )
