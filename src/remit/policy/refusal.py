"""The words of a refusal: what was asked, by which rule it is refused, what is missing and whom to ask.

Never a command: what a refused caller reads must not be a way to widen its own remit (invariant 6).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from remit.inventory import Workload
from remit.inventory.lifecycle import standing
from remit.policy.intent import Action, Intent
from remit.policy.missing import Missing
from remit.policy.mode import Approver
from remit.policy.permit import Treatment
from remit.policy.policy_set import Policy
from remit.policy.verdict import Verdict
from remit.policy.whom import ask, they
from remit.tasks import Task

DEFAULT_DENY: Final = "default-deny"
POLICY_ERROR: Final = "remit:policy-error"
OUTSIDE_TASK: Final = "remit:outside-task"
MODEL_LOST: Final = "remit:model-changed"
NOT_ACTIVE: Final = "remit:not-active"

_ASKS: Final = {
    Action.INFER: "infers",
    Action.EMBED: "embeds",
    Action.LIST: "lists models",
    Action.HEALTH: "asks for its health",
    Action.ADMINISTER: "administers the server",
    Action.DISCLOSE: "discloses what the server holds",
    Action.SAMPLE: "asks a client's model",
    Action.ELICIT: "asks a client's person",
    Action.CALL_TOOL: "calls a tool",
    Action.REGISTER_TOOL: "registers a tool",
    Action.RETRIEVE: "retrieves",
    Action.READ_RESOURCE: "reads a resource",
    Action.GET_PROMPT: "takes a prompt",
    Action.EXPORT: "sends data out",
    Action.USE_CREDENTIAL: "uses a credential",
    Action.DEPLOY_MODEL: "deploys a model",
    Action.APPROVE: "approves",
    Action.ACCESS: "asks for access",
}


class Owned(Protocol):
    """What is acted on: a workload or a thing of the catalogue."""

    @property
    def name(self) -> str: ...

    @property
    def owner(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused, apart from who asked. `because` ends where the caller is named."""

    rule: str
    because: str
    missing: str
    hint: str

    def message(self, intent: Intent, name: str) -> str:
        """One line for the refused caller."""
        if self.because.endswith("so"):
            refused = f"{self.because} {intent.caller.described()} may not {intent.action.value} on {name}"
        else:
            refused = f"{self.because} {intent.caller.described()} to {intent.action.value} on {name}"
        return f"`{intent.route}` {_ASKS[intent.action]}; {refused}"


EXPIRED: Final = Reason(
    "remit:snapshot-expired",
    "what is in force has not been confirmed in time, so",
    "a snapshot younger than its lifetime",
    "the control process no longer answers; ask whoever runs remit on this machine",
)
NO_SUCH_WORKLOAD: Final = Reason(
    "remit:not-enrolled",
    "it is no enrolled workload, so",
    "the workload were enrolled and had an owner",
    "ask whoever runs remit on this machine",
)
UNKNOWN_CALLER: Final = Reason(
    "remit:unknown-caller",
    "the caller's identity is not, or no longer, enrolled here, so",
    "the caller were an enrolled workload or a person of this trust domain",
    "ask the owner of the calling workload",
)


NOT_AS_LISTED: Final = Reason(
    "remit:not-listed",
    "it is not as the catalogue has it, so",
    "the catalogue listed it as it is",
    "ask whoever writes the policies on this machine",
)


def needs_approval(intent: Intent, target: Owned, approver: Approver) -> str:
    """One line for who asked."""
    whose = f"the owner's, {target.owner}'s," if approver is Approver.OWNER and target.owner else "another person's"
    return (
        f"`{intent.route}` {_ASKS[intent.action]}; it takes {whose} approval to {intent.action.value} {target.name}"
    )


def not_active(workload: Workload) -> Reason:
    """A refusal because the server, or the workload that calls it, is not active: says its state, and who can act."""
    return Reason(
        NOT_ACTIVE,
        f"{standing(workload)}, so",
        f"{workload.name} were active",
        f"ask the owner, {workload.owner}" if workload.owner else "ask whoever runs remit on this machine",
    )


def by_verdict(verdict: Verdict, lacking: Missing | None, resource: Owned) -> Reason:
    """A refusal that Cedar's decision gives: a forbid, or nothing that permits."""
    missing = f"{lacking.words} ({_places(lacking.policies)})" if lacking else ""
    if verdict.policies:
        policy = verdict.policies[0]
        because = f"policy {policy.ref.id} forbids"
        hint = f"{policy.hint}; {ask(resource.owner)}" if policy.hint else _hint(lacking, resource)
        return Reason(policy.ref.id, because, missing, hint)
    return Reason(DEFAULT_DENY, "no policy permits", missing, _hint(lacking, resource))


def by_errors(resource: Owned) -> Reason:
    """A refusal because a policy could not be evaluated: an error is never an allow."""
    return Reason(
        POLICY_ERROR,
        "a policy could not be evaluated, so",
        "every policy could be evaluated for this request",
        f"a policy of this server has an error; {ask(resource.owner)}",
    )


def by_label(policy: Policy, rules: tuple[str, ...], resource: Owned) -> Reason:
    """A refusal for what was found: `rules` are the detector's, never what they found."""
    found = ", ".join(rules)
    return Reason(
        policy.ref.id,
        f"it holds what policy {policy.ref.id} refuses ({found}), so",
        f"the request held none of: {found} ({policy.ref.file}:{policy.ref.line})",
        f"take out what was found ({found}), or {ask(resource.owner)}",
    )


def outside_task(intent: Intent, resource: Owned, task: Task | None, now: float, would: Verdict) -> Reason:
    """A refusal because the task that came doesn't cover the request. `would` is the verdict if it did."""
    if task is None or task.human != intent.caller.human:
        because = "its task is not one of this caller's, so"
    elif not task.live(now):
        because = f"its task {task.id} has ended, so"
    else:
        because = f"its task {task.id} does not cover this, so"
    if not would.allowed:
        hint = f"a task allows only what it names; no task alone would allow this; {ask(resource.owner)}"
        return Reason(OUTSIDE_TASK, because, "", hint)
    return Reason(
        OUTSIDE_TASK,
        because,
        f"the caller's task covered `{intent.action.value}` on {resource.name} ({_places(would.policies)})",
        f"a task allows only what it names; {they(resource.owner)} can allow this for another task",
    )


def beyond_task(task: Task, resource: Owned) -> Reason:
    """A refusal because what policies permit is more than the task lists: tool, arguments, destination, data."""
    return Reason(
        OUTSIDE_TASK,
        f"its task {task.id} does not list this, so",
        f"the task listed {resource.name} with these arguments, going there, with data this sensitive in it",
        "a task allows only what it lists; " + ask(resource.owner),
    )


def refused_finding(intent: Intent, resource: Owned, verdict: Verdict) -> Reason | None:
    """The reason when a determining policy refuses what was found; rule ids only, never the values."""
    refused = {label for label, treatment in verdict.plan.items() if treatment is Treatment.REFUSE}
    rules = tuple(dict.fromkeys(rule for rule, label in intent.found if label in refused))
    if not rules:
        return None
    labels = {label for _, label in intent.found} & refused
    policy = next(
        policy for policy in verdict.policies if any(policy.plan.get(label) is Treatment.REFUSE for label in labels)
    )
    return by_label(policy, rules, resource)


def _hint(lacking: Missing | None, resource: Owned) -> str:
    if lacking is not None:
        return lacking.hint
    return f"no single change would allow it; {ask(resource.owner)}"


def _places(policies: tuple[Policy, ...]) -> str:
    return ", ".join(f"{policy.ref.file}:{policy.ref.line}" for policy in policies)
