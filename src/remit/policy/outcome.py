"""What an answer of Cedar's comes to for who asks: allowed, refused, or needs approval, and by which rule."""

import enum
from collections.abc import Collection
from dataclasses import dataclass

from remit.detect import Label
from remit.policy.mode import Approver
from remit.policy.permit import PolicyRef, Treatment
from remit.policy.refusal import DEFAULT_DENY, POLICY_ERROR
from remit.policy.verdict import Verdict


class Outcome(enum.StrEnum):
    ALLOWED = "allowed"
    REFUSED = "refused"
    NEEDS_APPROVAL = "needs approval"
    UNKNOWN = "unknown"  # of a decision made again: what was not kept decides it


@dataclass(frozen=True, slots=True)
class Answer:
    """`rule` is the first deciding policy's id, or a built-in rule; `policies` are all that decided."""

    outcome: Outcome
    rule: str
    policies: tuple[PolicyRef, ...] = ()
    observed: tuple[PolicyRef, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "outcome": self.outcome.value,
            "rule": self.rule,
            "policies": [{"id": ref.id, "file": ref.file, "line": ref.line} for ref in self.policies],
            "observed": [{"id": ref.id, "file": ref.file, "line": ref.line} for ref in self.observed],
        }


def answer_of(verdict: Verdict, labels: Collection[Label] = ()) -> Answer:
    """What `verdict` comes to where findings of these labels are in the request."""
    if verdict.errors:
        return Answer(Outcome.REFUSED, POLICY_ERROR)
    if not verdict.allowed:
        return Answer(Outcome.REFUSED, verdict.refs[0].id if verdict.refs else DEFAULT_DENY, verdict.refs)
    refuses = [
        policy.ref
        for policy in verdict.policies
        if any(policy.plan.get(label) is Treatment.REFUSE for label in labels)
    ]
    if refuses:
        return Answer(Outcome.REFUSED, refuses[0].id, tuple(refuses))
    asks = verdict.approver is not Approver.NOBODY
    outcome = Outcome.NEEDS_APPROVAL if asks else Outcome.ALLOWED
    deciding = [policy.ref for policy in verdict.policies if not asks or policy.approver is verdict.approver]
    observed = tuple(policy.ref for policy in verdict.observed)
    return Answer(outcome, deciding[0].id, tuple(deciding), observed)
