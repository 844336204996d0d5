"""What one gateway worker decides and acts with: the Snapshot in force, the log, the detector, the broker."""

import concurrent.futures
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from remit.audit import AuditLog, DigestKey
from remit.credentials import Broker
from remit.gateway.asking import Questions
from remit.gateway.call import Call
from remit.gateway.circumstances import circumstances_of, moment_at
from remit.gateway.cut_short import ended, idle_already, not_guarded
from remit.gateway.not_enforced import NotEnforced
from remit.gateway.upstream import Upstream
from remit.gateway.upstream_connection import Timeouts
from remit.identity import Caller, SpiffeId
from remit.identity.attestation import Arrivals, Walks
from remit.identity.latest import Latest
from remit.inventory import Workload
from remit.policy import Approval, Engine, Intent, Moment, Permit, RefusedError, Snapshot
from remit.policy.emergency import by_break_glass
from remit.policy.link import Refused
from remit.policy.question import workload_entity
from remit.redaction import Scrubber, allowed_by


@dataclass
class Zone:
    """One zone's state. The event loop of its worker owns it; the snapshot is replaced whole, never edited.

    `clock` is Unix seconds, `monotonic` seconds. `cache_key` keeps callers out of each other's prompt cache.
    `arrivals` are the connections whose callers are being found out, `walks` what looks at all holders of a
    caller's socket; both in the threads of `executor`. `latest` judges whether what a caller shows is over.
    `questions` are to control.
    """

    name: str
    engine: Engine
    audit: AuditLog
    digests: DigestKey
    scrubber: Scrubber
    broker: Broker
    upstream: Upstream
    timeouts: Timeouts
    executor: concurrent.futures.Executor
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    cache_key: bytes
    told: Callable[[Refused], None]
    questions: Questions
    live: set[Call] = field(default_factory=set)
    not_enforced: NotEnforced = field(default_factory=NotEnforced)
    arrivals: Arrivals = field(init=False)
    walks: Walks = field(init=False)
    latest: Latest = field(init=False)
    control_gone: bool = False
    _hour: Moment | None = None  # of the last sweep

    def __post_init__(self) -> None:
        self.arrivals = Arrivals(self.executor)
        self.walks = Walks(self.executor)
        self.latest = Latest(self.clock)

    @property
    def snapshot(self) -> Snapshot:
        return self.engine.snapshot

    def workload(self, spiffe_id: SpiffeId) -> Workload | None:
        return self.engine.workload(spiffe_id)

    def put(self, snapshot: Snapshot) -> None:
        """Decide by `snapshot` from now on, and cut every open call that it no longer permits."""
        before, self.engine = self.engine, Engine(snapshot, self.engine)
        self.sweep()
        if _as_decided(before.snapshot) != _as_decided(snapshot) or self._seen_otherwise(before):
            self._decide_again()

    def sweep(self) -> None:
        """Cut the open calls that nothing covers any more; called with each Snapshot and twice a second."""
        self.latest()  # it knows only the times at which it is asked
        now = self.clock()
        if self._hour != (hour := moment_at(now)):
            before, self._hour = self._hour, hour
            if before is not None:
                self._decide_again()
        tasks = {task.id: task for task in self.snapshot.tasks}
        for call in tuple(self.live):
            task = tasks.get(call.task) if call.task is not None else None
            if call.task is not None and (task is None or not task.live(now)):
                call.cut(ended(call.id, "its task is over"))
            elif self.workload(call.resource) is None:
                call.cut(not_guarded())
            elif (idle := self.engine.idle(call.resource, call.caller)) is not None:
                over = ended(call.id, f"{idle.name} is {idle.state}")
                call.cut(over if call.permit is not None else idle_already(call.id, idle))
            elif self._of_an_emergency_over(call, now):
                call.cut(ended(call.id, "break-glass is closed"))
            elif self._launched_for_what_is_over(call.caller):
                call.cut(ended(call.id, "the task that its caller was launched for is over"))

    def _launched_for_what_is_over(self, caller: Caller | None) -> bool:
        """Whether it was the workload that called by a task alone (`remit:task`) that has ended."""
        if caller is None or not caller.enrolled or caller.process is None or caller.process.task is None:
            return False
        now, own = self.clock(), caller.process.task
        workload = self.workload(caller.spiffe_id)
        named = workload is not None and f"remit:task:{own}" in workload.selectors
        return named and not any(task.id == own and task.live(now) for task in self.snapshot.tasks)

    def without_control(self) -> None:
        """Control is gone: nobody could close break-glass any more, so it is closed; nor tells who is still here."""
        self.control_gone = True
        self.put(replace(self.snapshot, emergency=None, presence={}))

    def _of_an_emergency_over(self, call: Call, now: float) -> bool:
        if call.permit is None or not by_break_glass(call.permit.policies):
            return False
        emergency = self.snapshot.emergency
        return emergency is None or now >= emergency.until

    def _seen_otherwise(self, before: Engine) -> bool:
        """Whether policies see a workload in an open call as another than before: of another owner, in production."""
        callers = {call.caller.spiffe_id for call in self.live if call.caller is not None}
        ends = callers | {call.resource for call in self.live}
        return any(_as_seen(before.workload(one)) != _as_seen(self.workload(one)) for one in ends)

    def _decide_again(self) -> None:
        """Policies, who is judged by them or the hour are others: who may not begin a call may not go on with it."""
        for call in tuple(self.live):  # also those that are not yet on record: they wait for their task's budget
            if call.permit is not None and not self._still_permits(call):
                call.cut(ended(call.id, "the policies no longer permit it"))

    def _still_permits(self, call: Call) -> bool:
        """Whether the call could begin now, and all that it lets through unmasked would be let through."""
        if call.intent is None or call.permit is None:
            return False
        now = self.clock()
        intent = replace(call.intent, circumstances=circumstances_of(call.intent.caller, self.engine, now))
        try:
            permit = self.engine.decide(intent, now, call.id, _begun(call.approval, intent))
        except RefusedError:
            return False
        return allowed_by(call.permit) <= allowed_by(permit)

    def check_current(self, permit: Permit, call: Call) -> None:
        """Raises RefusedError when what was permitted ended while it was being written down."""
        now = self.clock()
        task = self.engine.task(call.task)
        task_over = call.task is not None and (task is None or not task.live(now))
        gone = self.workload(call.resource) is None or self.engine.idle(call.resource, call.caller) is not None
        if task_over or gone or now >= permit.expires:
            raise ended(call.id, "between the decision and its record")


def _as_decided(snapshot: Snapshot) -> object:
    """What may change in the decision on a call under way, workloads and tasks aside."""
    return snapshot.policy_set, snapshot.grade, snapshot.facts, snapshot.presence, snapshot.observing


def _begun(approval: Approval | None, intent: Intent) -> Approval | None:
    """What a call began by stays its own while it runs, whatever came into its task; but not under other policies."""
    return None if approval is None else replace(approval, binding=intent.binding, expires=math.inf)


def _as_seen(workload: Workload | None) -> dict[str, Any] | None:
    return None if workload is None else workload_entity(workload)
