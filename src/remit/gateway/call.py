"""One call's own account: its id, what it moved, and how it ended. Every end is recorded."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remit.audit import End
from remit.errors import RemitError
from remit.gateway.outlay import Outlay
from remit.identity import Caller, SpiffeId
from remit.policy import Approval, Intent, Permit, Snapshot
from remit.policy.emergency import HEADER
from remit.policy.observing import header as not_enforcing
from remit.posture import Grade

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # as ULID writes it
_PAIRS: Final = [one + other for one in _CROCKFORD for other in _CROCKFORD]
_RANDOM: Final = random.Random()  # noqa: S311 (seeded by the kernel; an id is to be no other's, not to be secret)
_SHIFTS: Final = range(120, -1, -10)  # 26 letters of 5 bits: 2 bits of zero, then these 128


def decision_id(now: float) -> str:
    """A ULID: 48 bits of milliseconds, 80 random bits; sorts by time."""
    number = (int(now * 1000) << 80) | _RANDOM.getrandbits(80)
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


@dataclass(eq=False)
class Call:
    """The running account of one call. `started` is monotonic seconds, `now` Unix seconds at its beginning."""

    id: str
    now: float
    started: float
    resource: SpiffeId
    stop: Callable[[str], None]
    route: str = ""
    caller: Caller | None = None
    intent: Intent | None = None
    permit: Permit | None = None
    approval: Approval | None = None
    outlay: Outlay | None = None  # of a task with a budget: what it took of that
    recorded: bool = False
    outcome: str = ""
    cut_by: RemitError | None = None
    status: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    chunks: int = 0
    request_masked: Mapping[str, int] = field(default_factory=dict)
    answer_masked: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, resource: SpiffeId, now: float, monotonic: float, stop: Callable[[str], None]) -> "Call":
        return cls(decision_id(now), now, monotonic, resource, stop)

    @property
    def task(self) -> str | None:
        return None if self.caller is None else self.caller.task

    def by(self, caller: Caller) -> Caller:
        """Remember who calls, for the record of however it ends."""
        self.caller = caller
        return caller

    def asks(self, intent: Intent) -> Intent:
        """Remember what is asked."""
        self.intent = intent
        return intent

    def may(self, permit: Permit) -> Permit:
        """Remember by what it goes on: an edit of the policies is held against it."""
        self.permit = permit
        return permit

    def sends(self) -> None:
        """From now on it counts in its task's budget."""
        if self.outlay is not None:
            self.outlay.sends()

    def headers(self, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
        """What every reply says of Remit: the decision, the grade, open break-glass, a policy edit not in force."""
        grade = Grade(snapshot.grade).header
        observed = self.permit.observed if self.permit is not None else ()
        not_enforced = not_enforcing(snapshot.observing, observed)
        headers: tuple[tuple[str, str], ...] = (("remit-decision", self.id), ("remit-grade", grade), *not_enforced)
        if snapshot.emergency is not None and self.now < snapshot.emergency.until:
            headers = (*headers, (HEADER, snapshot.emergency.said))
        if snapshot.policy_warning:
            return (*headers, ("remit-policy-warning", "a newer edit of the policies is not in force"))
        return headers

    def cut(self, why: RemitError) -> None:
        """End it from outside: the credential goes back. Only the first reason counts, and none once it has ended."""
        if not self.outcome:
            self.outcome, self.cut_by = "cut", why
            self.stop(str(why))

    def end(self, outcome: str) -> End:
        """The end record; an outcome set before (a cut) stays."""
        self.outcome = self.outcome or outcome
        monotonic = time.monotonic()
        return End(
            id=self.id,
            outcome=self.outcome,
            status=self.status,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            chunks=self.chunks,
            masked=_sum(self.request_masked, self.answer_masked),
            duration_ms=round((monotonic - self.started) * 1000, 3),
            t=time.time(),
            m=monotonic,
        )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return Counter(one) + Counter(other) if one or other else {}
