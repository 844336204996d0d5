"""What would have to be otherwise for a refusal to be an allow: decided again with that changed, never guessed.

The words are logged, so they name nobody; the hints are for who asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.detect import Label
from remit.errors import IdentityError
from remit.identity import SpiffeId
from remit.policy.intent import Action
from remit.policy.policy_set import Policy
from remit.policy.question import KNOWN_DIGEST, USER, Question, in_a_task
from remit.policy.thing import RANKS
from remit.policy.verdict import Decide
from remit.policy.whom import ask, they


@dataclass(frozen=True, slots=True)
class Missing:
    """One change that would turn a refusal into an allow: in words, whom to ask, by which policies."""

    words: str
    hint: str
    needs: str
    policies: tuple[Policy, ...] = ()


def missing(question: Question, name: str, decide: Decide) -> Missing | None:
    """What would have to be otherwise for this to be allowed: decided again with that changed, never guessed.

    None for what a point asks in its own words: that hangs on its users and its resources.
    """
    if question.action is Action.ACCESS:
        return None
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
        f"{they(question.resource_owner)} can allow it for a task",
        "task",
    )


def _as_owner(question: Question, name: str) -> Changed:
    owner = question.resource_owner
    if not owner or question.owner == owner:
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
        f"the digest of {model} on {name} is not known; {ask(question.resource_owner)}",
        "digest",
    )


def _approved(question: Question, name: str) -> Changed:
    if question.approved:
        return None
    model = f"model `{question.model}`" if question.model else "the model"
    return replace(question, approved=True), Missing(
        f"the owner of {name} had approved {model} as it is",
        f"{model} on {name} is not approved; {ask(question.resource_owner)}",
        "approval",
    )


def _exhaustive(question: Question, name: str) -> Changed:
    if question.exhaustive:
        return None
    return replace(question, exhaustive=True), Missing(
        "every holder of the caller's connection were known",
        f"who else holds this connection to {name} is not known yet; {ask(question.resource_owner)}",
        "exhaustive",
    )


def _nothing_found(question: Question, name: str) -> Changed:
    if not question.found:
        return None
    rules = ", ".join(question.found)
    return replace(question, found=(), found_labels=()), Missing(
        f"the request held none of: {rules}",
        f"take out what was found ({rules}), or {ask(question.resource_owner)}",
        "clean",
    )


def _vouched(standing: str, words: str) -> "Change":
    """As if what nobody vouches for in the arguments had come from elsewhere."""

    def change(question: Question, name: str) -> Changed:
        args = question.circumstances.args
        doubted = sorted({*args.claimed, *args.untrusted, *args.unseen}) if args is not None else []
        if args is None or not doubted:
            return None
        better = tuple(sorted({*getattr(args, standing), *doubted}))
        emptied = replace(args, claimed=(), untrusted=(), unseen=())
        kinds = ", ".join(doubted)
        return _so(question, args=replace(emptied, **{standing: better})), Missing(
            f"what it says of {kinds} came {words}",
            f"for {name} the {kinds} must come {words}, not from content or from the model",
            "provenance",
        )

    return change


def _no_higher(label: Label) -> "Change":
    """As if nothing above `label` had come into the task."""

    def change(question: Question, name: str) -> Changed:
        flow = question.circumstances.flow
        if flow is None or flow.high <= RANKS[label.value]:
            return None
        return _so(question, flow=replace(flow, high=RANKS[label.value])), Missing(
            f"nothing above {label.value} had come into the task",
            f"start another task for {name}, or {ask(question.resource_owner)}",
            "flow",
        )

    return change


def _nothing_from_outside(question: Question, name: str) -> Changed:
    flow = question.circumstances.flow
    if flow is None or not flow.untrusted:
        return None
    return _so(question, flow=replace(flow, untrusted=False)), Missing(
        "no content from outside had come into the task",
        f"start another task for {name}, or {ask(question.resource_owner)}",
        "flow",
    )


def _here(question: Question, name: str) -> Changed:
    if question.circumstances.presence == "here":
        return None
    return _so(question, presence="here"), Missing(
        "the person who answers for the caller were here",
        f"{question.human} must be there when {name} is asked",
        "presence",
    )


def _within_its_task(question: Question, name: str) -> Changed:
    if question.task is None or question.task.fits:
        return None
    return replace(question, task=replace(question.task, fits=True)), Missing(
        "the call were within what its task lists", f"the task doesn't list {name} with these arguments", "task"
    )


def _so(question: Question, **changed: Any) -> Question:
    return replace(question, circumstances=replace(question.circumstances, **changed))


Change = Callable[[Question, str], Changed]
CHANGES: Final[tuple[Change, ...]] = (
    _with_task,
    _as_owner,
    _known_digest,
    _approved,
    _exhaustive,
    _nothing_found,
    _within_its_task,
    _vouched("trusted", "from a trusted source or a person"),
    _vouched("human", "from a person's own words"),
    _nothing_from_outside,
    *(_no_higher(label) for label in (Label.CONFIDENTIAL, Label.INTERNAL, Label.PUBLIC)),
    _here,
    _as_owner_with_task,
)
