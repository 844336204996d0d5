"""What Cedar says to one question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cedarpy

from remit.detect import Label
from remit.policy.mode import Approver
from remit.policy.permit import PolicyRef, Treatment
from remit.policy.policy_set import Policy
from remit.policy.question import Question
from remit.policy.slicing import Slice
from remit.policy.treatment import strictest


@dataclass(frozen=True, slots=True)
class Verdict:
    """Cedar's answer. `policies` are the determining ones in file order: permits, or the forbids that beat them.

    `errors` is not empty when any policy could not be evaluated; then nothing is allowed. `approver` is the strictest
    that a determining permit names. `observed` are forbids that would have refused it, and are not enforced.
    """

    allowed: bool
    policies: tuple[Policy, ...]
    plan: Mapping[Label, Treatment]
    errors: tuple[str, ...] = ()
    approver: Approver = Approver.NOBODY
    observed: tuple[Policy, ...] = ()

    @property
    def refs(self) -> tuple[PolicyRef, ...]:
        """Where the determining ones stand."""
        return tuple(policy.ref for policy in self.policies)


Decide = Callable[[Question], Verdict]


def ask(question: Question, policies: Slice, entities: cedarpy.Entities) -> Verdict:
    """Let Cedar decide. Default deny, forbid beats permit, and an error of any kind is never an allow.

    The schema is not applied again here, which would cost 30 µs: the context comes from a typed Question,
    and a test holds every Question to the schema. What doesn't fit ends as an error, refused all the same.
    """
    try:
        "".join((question.model, question.asked, *question.found)).encode()  # no Unicode is an error, read or not
        asked = policies.trimmed(question.request())
        result = cedarpy.is_authorized(asked, policies.compiled, entities)
        watched = policies.watched and cedarpy.is_authorized(asked, policies.watched, entities)
    except ValueError as error:  # an id or a text that is no Unicode
        return Verdict(allowed=False, policies=(), plan={}, errors=(str(error),))
    if result.diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
        return Verdict(allowed=False, policies=(), plan={}, errors=tuple(result.diagnostics.errors) or ("undecided",))
    determining = _named(result, policies.policies)
    if not result.allowed:
        return Verdict(allowed=False, policies=determining, plan={})
    observed = _named(watched, policies.observed) if watched else ()
    approver = max((policy.approver for policy in determining), default=Approver.NOBODY)
    return Verdict(True, determining, strictest(determining), approver=approver, observed=observed)


def _named(result: cedarpy.AuthzResult, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The determining ones, in file order."""
    return tuple(policies[number] for number in sorted(int(name[6:]) for name in result.diagnostics.reasons))
