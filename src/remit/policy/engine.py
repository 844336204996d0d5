"""May it: the one place where an intent becomes a Permit or is refused."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn

from remit.errors import PolicyError
from remit.identity import Caller, Process, SpiffeId
from remit.inventory import Workload
from remit.policy.emergency import Emergency, under_one_of
from remit.policy.intent import Action, Intent
from remit.policy.load import load
from remit.policy.permit import Permit, PolicyRef, RefusedError
from remit.policy.policy_set import PolicySet
from remit.policy.question import Question, TaskFact, in_general, of_intent
from remit.policy.refusal import (
    EXPIRED,
    NO_SUCH_WORKLOAD,
    UNKNOWN_CALLER,
    Reason,
    by_errors,
    by_verdict,
    not_active,
    outside_task,
    refused_finding,
)
from remit.policy.slicing import Slicer
from remit.policy.snapshot import Snapshot
from remit.policy.verdict import Verdict, ask, missing
from remit.policy.world import World
from remit.tasks import Task

CACHED: Final = 4_096  # decisions kept; with the bounds below each takes at most about 2 kB
MAX_CACHED_TEXT: Final = 512  # characters of model and route together; longer ones are decided each time
MAX_CACHED_FOUND: Final = 16

Answer = Literal["yes", "no", "needs approval"]


@dataclass(frozen=True, slots=True)
class Permission:
    """What a caller may do, by which policies. `needs approval`: within a live task that names the action."""

    answer: Answer
    policies: tuple[PolicyRef, ...]


@dataclass(frozen=True, slots=True)
class _Decided:
    """A cached outcome: the verdict, and the reason when it ends in a refusal."""

    verdict: Verdict
    refs: tuple[PolicyRef, ...]
    reason: Reason | None


class Engine:
    """Decides by one Snapshot. Immutable but for its caches; not shared between threads.

    The caches need no epoch in their keys: an Engine has one policy epoch and one entity epoch, and
    ends with them. `after` is the engine of the snapshot before: what did not change is taken over from it.
    Raises PolicyError when the snapshot's policies don't load or aren't those that `policy_set` names.
    """

    def __init__(self, snapshot: Snapshot, after: "Engine | None" = None) -> None:
        self.snapshot = snapshot
        same_policies = after is not None and after.snapshot.policy_files == snapshot.policy_files
        same_world = after is not None and after._world.same_as(snapshot)
        self.policies: PolicySet = after.policies if after and same_policies else _loaded(snapshot)
        self._slicer: Slicer = after._slicer if after and same_policies else Slicer(self.policies.policies)
        self._world: World = (
            after._world if after and same_world else World(snapshot, after._world if after else None)
        )
        self._tasks = {task.id: task for task in snapshot.tasks}
        self._ends = snapshot.issued + snapshot.lifetime
        self._decided: OrderedDict[object, _Decided] = OrderedDict()

    def decide(self, intent: Intent, now: float, decision_id: str) -> Permit:
        """Decide `intent` at `now` (Unix seconds); raises RefusedError with the rule, what is missing, whom to ask.

        1. the snapshot is alive
        2. resource and caller are in it, and active
        3. a task that came with the request is live, is its human's and in its hands, and covers the request
        4. Cedar permits it: default deny, forbid beats permit, an error never allows. While break-glass is open, its
           built-in policy stands in the place of this set for the person who opened it
        5. every finding may be let through or masked
        6. the permit, good as long as snapshot and task are

        Left to the caller: to know who calls, to find what is in the text, and to write this down first.
        """
        # 1
        if not self._ends - 2 * self.snapshot.lifetime <= now < self._ends:
            self._refuse(intent, decision_id, EXPIRED, status=503)
        # 2
        resource = self._world.workloads.get(intent.resource)
        if resource is None:
            self._refuse(intent, decision_id, NO_SUCH_WORKLOAD)
        if not self._world.knows(intent.caller.spiffe_id, enrolled=intent.caller.enrolled):
            self._refuse(intent, decision_id, UNKNOWN_CALLER)
        if (idle := self.idle(intent.resource, intent.caller)) is not None:
            self._refuse(intent, decision_id, not_active(idle))
        # 3
        task = self._task(intent, resource, now, decision_id)
        # 4 and 5
        emergency = self.snapshot.emergency
        if emergency is not None and self.in_emergency(intent.caller, now):
            return self._by_break_glass(intent, emergency, decision_id)
        decided = self._outcome(intent, resource, task)
        if decided.reason is not None:
            self._refuse(intent, decision_id, decided.reason, decided.refs)
        # 6
        return Permit(
            decision_id,
            intent.digest,
            decided.refs,
            decided.verdict.plan,
            self.policies.digest,
            self.snapshot.epoch,
            self._ends if task is None else min(self._ends, task.expires),
        )

    def in_emergency(self, caller: Caller, now: float) -> bool:
        """Whether break-glass is open for this caller: nothing that it runs under may be a workload."""
        emergency = self.snapshot.emergency
        if emergency is None or not emergency.covers(caller, now):
            return False
        return caller.process is not None and not under_one_of(caller.process, self.snapshot.workloads)

    def _by_break_glass(self, intent: Intent, emergency: Emergency, decision_id: str) -> Permit:
        """What the detector found is masked, as where no policy says otherwise."""
        until = min(self._ends, emergency.until)
        digest, epoch = self.policies.digest, self.snapshot.epoch
        return Permit(decision_id, intent.digest, (emergency.policy(),), {}, digest, epoch, until)

    def workload(self, spiffe_id: SpiffeId) -> Workload | None:
        """The enrolled workload of this ID, if the snapshot has it."""
        return self._world.workloads.get(spiffe_id)

    def workload_of(self, process: Process) -> Workload | None:
        """The enrolled workload that `process` is, if any; raises AttestationError when it is two of them."""
        return self._world.workloads.of(process)

    def idle(self, resource: SpiffeId, caller: Caller | None) -> Workload | None:
        """Which of the two is in the snapshot but not active, if one is: nothing goes on between them then."""
        for spiffe_id in (resource, caller.spiffe_id if caller is not None and caller.enrolled else resource):
            workload = self._world.workloads.get(spiffe_id)
            if workload is not None and not workload.active:
                return workload
        return None

    def permissions(
        self, principal: SpiffeId, human: str, resource: SpiffeId, now: float
    ) -> dict[Action, Permission]:
        """What `principal`, for whom `human` answers, may do on `resource`: each action, by which policies.

        Asked as a well-known caller with a known model and nothing found in what it sends.
        """
        target = self._world.workloads.get(resource)
        own = self._world.workloads.get(principal)
        known = self._world.knows(principal, enrolled=own is not None)
        idle = any(one is not None and not one.active for one in (target, own))
        if target is None or not known or idle or now >= self._ends:
            return {action: Permission("no", ()) for action in Action}
        asked = in_general(principal, own, human, target, self.snapshot.grade)
        return {action: self._permission(replace(asked, action=action)) for action in Action}

    def _permission(self, question: Question) -> Permission:
        verdict = self._ask(question)
        if verdict.allowed:
            return Permission("yes", _refs(verdict))
        tasked = self._ask(_in_a_task(question))
        if tasked.allowed:
            return Permission("needs approval", _refs(tasked))
        return Permission("no", _refs(verdict))

    def _task(self, intent: Intent, resource: Workload, now: float, decision_id: str) -> Task | None:
        """The live task that came with the request, None without one; refuses one that doesn't cover it."""
        if intent.caller.task is None:
            return None
        task = self._tasks.get(intent.caller.task)
        covers = task is not None and task.covers(intent.action.value, intent.resource, now)
        its_own = task is not None and task.human == intent.caller.human and task.held_by(intent.caller.spiffe_id)
        if task is None or not covers or not its_own:
            asked = of_intent(intent, self._owner(intent.caller), resource, None, self.snapshot.grade)
            would = self._ask(_in_a_task(asked))
            self._refuse(intent, decision_id, outside_task(intent, resource, task, now, would))
        return task

    def _outcome(self, intent: Intent, resource: Workload, task: Task | None) -> _Decided:
        key = _key(intent)
        decided = self._decided.get(key) if key is not None else None
        if decided is None:
            declared = task if task is not None and task.of_a_person else None  # a workload's own declares nothing
            asked = of_intent(intent, self._owner(intent.caller), resource, declared, self.snapshot.grade)
            decided = self._fresh(intent, resource, asked)
            if key is not None:
                self._keep(key, decided)
        return decided

    def _keep(self, key: object, decided: _Decided) -> None:
        self._decided[key] = decided
        if len(self._decided) > CACHED:
            self._decided.popitem(last=False)

    def _fresh(self, intent: Intent, resource: Workload, question: Question) -> _Decided:
        verdict = self._ask(question)
        if verdict.errors:
            return _Decided(verdict, (), by_errors(resource))
        if not verdict.allowed:
            lacking = missing(question, resource.name, self._ask)
            return _Decided(verdict, _refs(verdict), by_verdict(verdict, lacking, resource))
        return _Decided(verdict, _refs(verdict), refused_finding(intent, resource, verdict))

    def _ask(self, question: Question) -> Verdict:
        try:
            entities = self._world.entities(question.principal, question.owner, enrolled=question.enrolled)
        except ValueError as error:
            return Verdict(allowed=False, policies=(), plan={}, errors=(str(error),))
        return ask(question, self._slicer.slice(question), entities)

    def _owner(self, caller: Caller) -> str:
        """Who owns the principal: what the snapshot says of a workload, the person for a person's process."""
        return self._world.workloads[caller.spiffe_id].owner if caller.enrolled else caller.human

    def _refuse(
        self,
        intent: Intent,
        decision_id: str,
        reason: Reason,
        policies: tuple[PolicyRef, ...] = (),
        status: int = 403,
    ) -> NoReturn:
        resource = self._world.workloads.get(intent.resource)
        raise RefusedError(
            reason.message(intent, resource.name if resource else str(intent.resource)),
            decision_id=decision_id,
            rule=reason.rule,
            policies=policies,
            missing=reason.missing,
            hint=reason.hint,
            status=status,
        )


def _loaded(snapshot: Snapshot) -> PolicySet:
    policies = load(snapshot.policy_files)
    if policies.digest != snapshot.policy_set:
        message = f"the policies are `{policies.digest}`, the snapshot says `{snapshot.policy_set}`"
        raise PolicyError(message, file=snapshot.policy_files[0].name, line=1, column=1)
    return policies


def _refs(verdict: Verdict) -> tuple[PolicyRef, ...]:
    return tuple(policy.ref for policy in verdict.policies)


def _in_a_task(question: Question) -> Question:
    return replace(question, task=TaskFact("", question.resource, (question.action.value,)))


def _key(intent: Intent) -> object | None:
    """All that a decision depends on within one engine; None for what is too large to keep."""
    caller = intent.caller
    if len(intent.found) > MAX_CACHED_FOUND or len(intent.model or "") + len(intent.route) > MAX_CACHED_TEXT:
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
    )
