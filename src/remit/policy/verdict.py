"""What Cedar says to one question, and what it would say if one fact were otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import cedarpy

from remit.detect import Label
from remit.errors import IdentityError
from remit.identity import SpiffeId
from remit.policy.mode import Approver
from remit.policy.permit import PolicyRef, Treatment
from remit.policy.policy_set import Policy
from remit.policy.question import KNOWN_DIGEST, USER, Question, in_a_task
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
        asked = question.request()
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


@dataclass(frozen=True, slots=True)
class Missing:
    """One change that would turn a refusal into an allow: in words, whom to ask, by which policies."""

    words: str
    hint: str
    needs: str
    policies: tuple[Policy, ...] = ()


def missing(question: Question, name: str, decide: Decide) -> Missing | None:
    """What would have to be otherwise for this to be allowed: decided again with that changed, never guessed."""
    for change in CHANGES:
        changed = change(question, name)
        if changed is not None:
            verdict = decide(changed[0])
            if verdict.allowed:
                return replace(changed[1], policies=verdict.policies)
    return None


Changed = tuple[Question, Missing] | None


def _with_task(question: Question, name: str) -> Changed:
    if question.task is not None:
        return None
    return in_a_task(question), Missing(
        f"the caller had a task that allows `{question.action.value}` on {name}",
        f"the owner, {question.resource_owner}, can allow it for a task",
        "task",
    )


def _as_owner(question: Question, name: str) -> Changed:
    owner = question.resource_owner
    if question.owner == owner:
        return None
    try:
        principal = SpiffeId.of(question.resource.trust_domain, USER, owner)
    except IdentityError:
        return None
    return replace(question, principal=principal, owner=owner, human=owner, enrolled=False), Missing(
        f"the caller acted for the owner of {name}",
        f"only the owner, {owner}, may; ask {owner}",
        "owner",
    )


def _as_owner_with_task(question: Question, name: str) -> Changed:
    owned = _as_owner(question, name)
    tasked = _with_task(owned[0], name) if owned else None
    if tasked is None:
        return None
    owner = question.resource_owner
    return tasked[0], Missing(
        f"the caller acted for the owner of {name}, in a task that allows `{question.action.value}`",
        f"only the owner, {owner}, may, and only within a task; ask {owner}",
        "owner and task",
    )


def _known_digest(question: Question, name: str) -> Changed:
    if question.digest.startswith(KNOWN_DIGEST):
        return None
    model = f"model `{question.model}`" if question.model else "the model"
    return replace(question, digest=KNOWN_DIGEST + "0" * 64), Missing(
        f"the digest of {model} were known",
        f"the digest of {model} on {name} is not known; ask the owner, {question.resource_owner}",
        "digest",
    )


def _approved(question: Question, name: str) -> Changed:
    if question.approved:
        return None
    model = f"model `{question.model}`" if question.model else "the model"
    return replace(question, approved=True), Missing(
        f"the owner of {name} had approved {model} as it is",
        f"{model} on {name} is not approved; ask the owner, {question.resource_owner}",
        "approval",
    )


def _exhaustive(question: Question, name: str) -> Changed:
    if question.exhaustive:
        return None
    return replace(question, exhaustive=True), Missing(
        "every holder of the caller's connection were known",
        f"who else holds this connection to {name} is not known yet; ask the owner, {question.resource_owner}",
        "exhaustive",
    )


def _nothing_found(question: Question, name: str) -> Changed:
    if not question.found:
        return None
    rules = ", ".join(question.found)
    return replace(question, found=(), found_labels=()), Missing(
        f"the request held none of: {rules}",
        f"take out what was found ({rules}), or ask the owner of {name}, {question.resource_owner}",
        "clean",
    )


CHANGES: Final = (_with_task, _as_owner, _known_digest, _approved, _exhaustive, _nothing_found, _as_owner_with_task)
