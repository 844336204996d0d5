"""What somebody may do with a model server, action by action: asked, not acted on."""

from dataclasses import dataclass, replace
from typing import Literal

from remit.identity import SpiffeId
from remit.policy.circumstances import NONE, Circumstances, Moment
from remit.policy.in_force import InForce
from remit.policy.intent import SERVER, Action
from remit.policy.mode import Approver
from remit.policy.permit import PolicyRef
from remit.policy.question import Question, in_a_task, in_general

Answer = Literal["yes", "no", "needs approval", "within a task"]


@dataclass(frozen=True, slots=True)
class Permission:
    """What a caller may do, by which policies. `needs approval`: somebody's; `within a task`: one that names it."""

    answer: Answer
    policies: tuple[PolicyRef, ...]


def permissions(
    in_force: InForce, principal: SpiffeId, human: str, resource: SpiffeId, now: float, moment: Moment = NONE.moment
) -> dict[Action, Permission]:
    """What `principal`, for whom `human` answers, may do on `resource` at `now`: each action, by which policies.

    Asked as a well-known caller with a known model and nothing found in what it sends, of the endpoint as it is.
    """
    world = in_force.world
    target, own = world.workloads.get(resource), world.workloads.get(principal)
    known = world.knows(principal, enrolled=own is not None)
    idle = any(one is not None and not one.active for one in (target, own))
    if target is None or not known or idle or now >= in_force.ends:
        return {action: Permission("no", ()) for action in SERVER}
    snapshot = in_force.snapshot
    so = Circumstances(moment, snapshot.presence.get(human, "unknown"), snapshot.facts)
    asked = replace(in_general(principal, own, human, target, snapshot.grade), circumstances=so)
    return {action: _permission(in_force, replace(asked, action=action)) for action in SERVER}


def _permission(in_force: InForce, question: Question) -> Permission:
    verdict = in_force.ask(question)
    if verdict.allowed:
        return Permission("yes" if verdict.approver is Approver.NOBODY else "needs approval", verdict.refs)
    tasked = in_force.ask(in_a_task(question))
    if tasked.allowed:
        return Permission("within a task", tasked.refs)
    return Permission("no", verdict.refs)
