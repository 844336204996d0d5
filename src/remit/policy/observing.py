"""Observe mode: what policies would have refused goes through, and is counted, listed and said to.

Only what policies refuse. Refused all the same is whoever is not known, what a task doesn't cover, what is decided by
too old a Snapshot, a model that is another than its server's, and all that a policy with an error applies to.
"""

from collections.abc import Mapping
from typing import Final

from remit.detect import Label
from remit.policy.permit import APPROVAL_NEEDED, PolicyRef, Treatment
from remit.policy.refusal import DEFAULT_DENY, POLICY_ERROR, Reason
from remit.policy.verdict import Verdict

ENFORCE: Final = "enforce"
OBSERVE: Final = "observe"
HEADER: Final = "remit-not-enforcing"
NOT_ENFORCING: Final = "NOT ENFORCING: policies are only observed, and what they would refuse goes through"
ONLY_OBSERVED: Final = "remit:only-observed"  # the rule of what no policy permits, and goes through
_ALL: Final = "all policies"


def goes_through(reason: Reason) -> bool:
    """Whether observing lets through what is refused for this: an error is never an allow."""
    return reason.rule != POLICY_ERROR


def would_refuse(verdict: Verdict, reason: Reason | None, *, asks: bool) -> tuple[PolicyRef, ...]:
    """What is not enforced: forbids, nothing that permits, a finding that is refused, or an approval (`asks`)."""
    if reason is not None:
        named = tuple(ref for ref in verdict.refs if ref.id == reason.rule) if verdict.allowed else verdict.refs
        return named or (PolicyRef(DEFAULT_DENY, "", 0),)
    observed = tuple(policy.ref for policy in verdict.observed)
    return (*observed, PolicyRef(APPROVAL_NEEDED, "", 0)) if asks else observed


def would_have(rule: str, what: str) -> str:
    """What a rule that is only observed would have done with it."""
    return f"{what} would have taken an approval" if rule == APPROVAL_NEEDED else f"{rule} would have refused {what}"


def masked(plan: Mapping[Label, Treatment]) -> dict[Label, Treatment]:
    """With what policies refuse masked: observing shows nobody what was found."""
    return {label: Treatment.MASK if so is Treatment.REFUSE else so for label, so in plan.items()}


def said(observing: bool) -> dict[str, str]:
    """For whoever is shown anything of policies: the mode, and a sentence where they are not enforced."""
    return {"mode": OBSERVE if observing else ENFORCE, "not_enforcing": NOT_ENFORCING if observing else ""}


def header(observing: bool, observed: tuple[PolicyRef, ...]) -> tuple[tuple[str, str], ...]:
    """What a reply says of policies that would not have let it through, or of all of them."""
    which = not_enforced(observing, observed)
    return ((HEADER, which),) if which else ()


def not_enforced(observing: bool, observed: tuple[PolicyRef, ...]) -> str:
    """The ids of those; empty where all are enforced."""
    return _ALL if observing else ", ".join(ref.id for ref in observed)
