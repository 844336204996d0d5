"""A request that people are asked to agree to: its states, what an answer is good for, and how often. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from remit.errors import RemitError

GOOD_SECONDS: Final = 300.0  # so long an approval waits for the call that it is of
OWNER: Final = "owner"
APPROVER: Final = "approver"


class ApprovalError(RemitError):
    """It may not be approved, denied or used so."""

    exit_code = 3


class RequestState(enum.StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"  # a person said no
    EXPIRED = "expired"  # nobody answered, or nobody came for the answer
    SPENT = "spent"
    WITHDRAWN = "withdrawn"  # who asked is gone, or what it was asked under


class Extent(enum.StrEnum):
    """How often an approval is good: for one call, for the equal ones that waited, or while its task lasts."""

    ONCE = "once"
    WAITING = "waiting"
    TASK = "task"


# Each move, by the state that it leads from; what isn't here can't happen.
NEXT: Final[Mapping[tuple[RequestState, str], RequestState]] = {
    (RequestState.PENDING, "approve"): RequestState.APPROVED,
    (RequestState.PENDING, "deny"): RequestState.DENIED,
    (RequestState.PENDING, "expire"): RequestState.EXPIRED,
    (RequestState.PENDING, "withdraw"): RequestState.WITHDRAWN,
    (RequestState.APPROVED, "spend"): RequestState.SPENT,
    (RequestState.APPROVED, "deny"): RequestState.DENIED,
    (RequestState.APPROVED, "expire"): RequestState.EXPIRED,
    (RequestState.APPROVED, "withdraw"): RequestState.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One request. Times are Unix seconds, people are named by their pseudonyms.

    `binding` is the keyed digest of exactly what was asked; `policy_set` what decided that it takes an approval.
    `needed` is `owner` or `approver`. `summary` is what may be kept of it: ids and labels, never contents.
    `calls` are those that asked for the same. Of an answer: `by` whom, `self_confirmed` where that was who asked,
    `why` in their words, for what `extent`, and how many `uses` are left of it.
    """

    id: str
    binding: str
    policy_set: str
    needed: str
    task: str | None
    requesters: tuple[str, ...]
    summary: Mapping[str, Any]
    asked: float
    expires: float
    state: RequestState = RequestState.PENDING
    calls: int = 1
    by: str = ""
    self_confirmed: bool = False
    proof: str = ""
    why: str = ""
    extent: Extent = Extent.ONCE
    uses: int = 0
    answered: float | None = None

    @property
    def open(self) -> bool:
        """Whether it may still come to anything."""
        return self.state in {RequestState.PENDING, RequestState.APPROVED}

    def good(self, policy_set: str, now: float) -> bool:
        """Whether it is approved, under these very policies, and not over."""
        return self.state is RequestState.APPROVED and self.policy_set == policy_set and now < self.expires

    def again(self) -> Self:
        """One more call asks for the same."""
        return replace(self, calls=self.calls + 1)

    def approved(
        self,
        by: str,
        extent: Extent,
        now: float,
        *,
        proof: str,
        why: str,
        until: float,
        uses: int = 1,
        self_confirmed: bool = False,
    ) -> Self:
        """Somebody agreed. `until` is the end of its task, for that extent; `uses` the calls that waited, for that.

        Raises ApprovalError. Not checked here: whether they may (`four_eyes`), and that a person did it.
        """
        self._check_open(now)
        if extent is Extent.TASK and self.task is None:
            raise ApprovalError(f"`{self.id}` was asked outside a task: it can be approved once")
        return replace(
            self,
            state=self._moved("approve"),
            by=by,
            extent=extent,
            proof=proof,
            why=why,
            answered=now,
            self_confirmed=self_confirmed,
            uses=max(1, uses) if extent is Extent.WAITING else 1,
            expires=until if extent is Extent.TASK else now + GOOD_SECONDS,
        )

    def denied(self, by: str, now: float, why: str) -> Self:
        """Somebody said no, or takes back what was not used yet. Raises ApprovalError."""
        self._check_open(now)
        return replace(self, state=self._moved("deny"), by=by, why=why, answered=now, uses=0)

    def spent(self, policy_set: str, now: float) -> Self:
        """One call goes on by it. Raises ApprovalError when nothing is left, or it is of other policies."""
        if not self.good(policy_set, now):
            raise ApprovalError(f"`{self.id}` is {self.state} or over: nothing goes on by it")
        if self.extent is Extent.TASK:
            return self
        if self.uses > 1:
            return replace(self, uses=self.uses - 1)
        return replace(self, state=self._moved("spend"), uses=0)

    def expired(self) -> Self:
        """Its time is over; raises ApprovalError for one that has ended."""
        return replace(self, state=self._moved("expire"), uses=0)

    def withdrawn(self, why: str) -> Self:
        """Nobody waits for it any more, or what it was asked under is gone; raises ApprovalError."""
        return replace(self, state=self._moved("withdraw"), why=why, uses=0)

    def _check_open(self, now: float) -> None:
        if now >= self.expires:
            raise ApprovalError(f"`{self.id}` is over: nobody answered in time", hint="who asked can ask again")

    def _moved(self, move: str) -> RequestState:
        to = NEXT.get((self.state, move))
        if to is None:
            raise ApprovalError(
                f"`{self.id}` is {self.state} already", hint="`remit approvals list` tells what waits"
            )
        return to

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "binding": self.binding,
            "policy_set": self.policy_set,
            "needed": self.needed,
            "task": self.task,
            "requesters": list(self.requesters),
            "summary": dict(self.summary),
            "asked": self.asked,
            "expires": self.expires,
            "state": self.state.value,
            "calls": self.calls,
            "by": self.by,
            "self_confirmed": self.self_confirmed,
            "proof": self.proof,
            "why": self.why,
            "extent": self.extent.value,
            "uses": self.uses,
            "answered": self.answered,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        parsed = {
            "requesters": tuple(row["requesters"]),
            "state": RequestState(row["state"]),
            "extent": Extent(row["extent"]),
        }
        return cls(**{**row, **parsed})
