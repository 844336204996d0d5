"""The permit: one allowed decision. Only `policy/engine.py` makes one."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remit.detect import Label
from remit.errors import RemitError

APPROVAL_NEEDED: Final = "remit:approval-needed"


class Treatment(enum.StrEnum):
    """What happens to a finding of some label: a policy chooses one per label; unsaid means mask."""

    ALLOW = "allow"
    MASK = "mask"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """Where a policy stands: its `@id`, file name and 1-based line."""

    id: str
    file: str
    line: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.file}:{self.line})"


@dataclass(frozen=True, slots=True)
class Permit:
    """An allowed decision for exactly one intent (`intent_digest`), until `expires` (Unix seconds).

    `observed` are the policies that would have refused it, and are not enforced.
    """

    decision_id: str
    intent_digest: bytes
    policies: tuple[PolicyRef, ...]
    plan: Mapping[Label, Treatment]
    policy_set: str
    epoch: int
    expires: float
    observed: tuple[PolicyRef, ...] = ()

    def treatment(self, label: Label) -> Treatment:
        return self.plan.get(label, Treatment.MASK)


class RefusedError(RemitError):
    """A refused decision: `rule` names the policy or built-in rule, `hint` says what is missing and whom to ask."""

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        decision_id: str,
        rule: str,
        policies: tuple[PolicyRef, ...] = (),
        missing: str = "",
        hint: str = "",
        status: int = 403,
    ) -> None:
        super().__init__(message, hint=hint)
        self.decision_id = decision_id
        self.rule = rule
        self.policies = policies
        self.missing = missing
        self.status = status


class ApprovalNeededError(RefusedError):
    """Policies permit it once somebody has agreed: `approver` is `owner`, or `approver` for another person.

    `handle` is the id of the request that people were asked under, or empty where nobody was.
    """

    def __init__(
        self, message: str, *, approver: str, decision_id: str, policies: tuple[PolicyRef, ...], handle: str = ""
    ) -> None:
        hint = "people are asked: ask for exactly the same again once they agreed" if handle else "nobody was asked"
        super().__init__(message, decision_id=decision_id, rule=APPROVAL_NEEDED, policies=policies, hint=hint)
        self.approver, self.handle = approver, handle

    def waiting(self, handle: str) -> "ApprovalNeededError":
        """The same, while people are asked under that id."""
        return ApprovalNeededError(
            f"{self} (asked as {handle})",
            approver=self.approver,
            decision_id=self.decision_id,
            policies=self.policies,
            handle=handle,
        )
