"""What policies leave open for one who, action and what: Cedar's partial evaluation. Pure.

No circumstance is supposed, so that what is never allowed here is never allowed at all, and what is always allowed is
allowed in every one.
"""

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy
from cedarpy import pst

from remit.detect import Label
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.permit import PolicyRef, Treatment
from remit.policy.policy_set import Policy
from remit.policy.quoting import quoted
from remit.policy.treatment import STRICTNESS

# What can fail in a policy that fits the schema: sums beyond 64 bits, and the constructors of extension types.
_FAILS: Final = re.compile(r"[+*-]|\b(ip|decimal|datetime|duration|offset|durationSince|toDate|toTime)\b")
_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*', re.DOTALL)


class Reach(enum.StrEnum):
    NEVER = "never"
    SOMETIMES = "in some circumstances"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Rest:
    """A policy, as far as who, action and what leave it open. Equal ones say the same."""

    effect: str
    condition: str
    strictness: tuple[int, ...]
    can_fail: bool


@dataclass(frozen=True, slots=True)
class Residue:
    """`permits` and `forbids` are what may still decide, each with where it stands."""

    reach: Reach
    permits: Mapping[Rest, PolicyRef]
    forbids: Mapping[Rest, PolicyRef]

    @property
    def approval(self) -> bool:
        """Whether everything that may permit takes somebody's approval."""
        return bool(self.permits) and all(rest.strictness[0] for rest in self.permits)


@dataclass(frozen=True, slots=True)
class Actor:
    """A principal to ask for: `owner` owns it. `name` is for people."""

    name: str
    id: str
    owner: str
    entities: cedarpy.Entities


@dataclass(frozen=True, slots=True)
class Target:
    """What can be acted on: its Cedar entity type, id and entity, in one world."""

    name: str
    kind: str
    id: str
    entity: Mapping[str, Any]


class Residues:
    """Finds them for one policy set; compiles each choice of policies once."""

    def __init__(self, in_force: InForce) -> None:
        self._policies = tuple(policy for policy in in_force.policies.policies if not policy.observed)
        self._compiled: dict[tuple[int, ...], cedarpy.PolicySet] = {}
        self.says = tuple(saying(policy) for policy in self._policies)

    def candidates(self, principal: str, action: Action, resource: str) -> tuple[int, ...]:
        """Indexes of the policies whose scope fits."""
        return tuple(
            index
            for index, policy in enumerate(self._policies)
            if action in policy.actions
            and _fits(policy.tree.principal, principal)
            and _fits(policy.tree.resource, resource)
        )

    def residue(self, wanted: tuple[int, ...], actor: Actor, action: Action, target: Target) -> Residue:
        """What these candidates leave open."""
        if not wanted:
            return Residue(Reach.NEVER, {}, {})
        request = {
            "principal": f"Workload::{quoted(actor.id)}",
            "action": f"Action::{quoted(action.value)}",
            "resource": f"{target.kind}::{quoted(target.id)}",
        }
        result = cedarpy.is_authorized_partial(request, self._set(wanted), actor.entities)
        if result.diagnostics.errors or result.decision is cedarpy.Decision.Deny:
            return Residue(Reach.NEVER, {}, {})
        found = self._rests(wanted, result)
        always = result.decision is cedarpy.Decision.Allow and not any(rest.can_fail for rest, _ in found)
        return Residue(
            Reach.ALWAYS if always else Reach.SOMETIMES,
            {rest: ref for rest, ref in found if rest.effect == "permit"},
            {rest: ref for rest, ref in found if rest.effect == "forbid"},
        )

    def _rests(self, wanted: tuple[int, ...], result: cedarpy.PartialAuthzResult) -> list[tuple[Rest, PolicyRef]]:
        open_still = set(result.diagnostics.nontrivial_residuals)
        may = sorted({*result.diagnostics.may_be_determining, *open_still}, key=lambda name: int(name[6:]))
        return [
            (_rest(self._policies[wanted[int(name[6:])]], result.residuals[name], fails=name in open_still), ref)
            for name in may
            for ref in (self._policies[wanted[int(name[6:])]].ref,)
        ]

    def _set(self, wanted: tuple[int, ...]) -> cedarpy.PolicySet:
        found = self._compiled.get(wanted)
        if found is None:
            text = "\n".join(self._policies[index].text for index in wanted)
            found = self._compiled[wanted] = cedarpy.PolicySet.from_str(text)
        return found


def saying(policy: Policy) -> str:
    """What a policy says, apart from its name and its words for people."""
    tree = policy.tree
    scope = (tree.effect, tree.principal, tree.action, tree.resource, tree.clauses)
    return repr((*scope, strictness(policy)))


def strictness(policy: Policy) -> tuple[int, ...]:
    """Whose approval a permit takes, then how strictly it treats findings label by label. Each rises."""
    if policy.effect == "forbid":
        return ()
    return (int(policy.approver), *(STRICTNESS[policy.plan.get(label, Treatment.MASK)] for label in Label))


def _rest(policy: Policy, residual: Mapping[str, Any], *, fails: bool) -> Rest:
    condition = json.dumps(residual.get("conditions"), sort_keys=True)
    return Rest(policy.effect, condition, strictness(policy), fails and can_fail(policy))


def can_fail(policy: Policy) -> bool:
    """Whether evaluating it may end in an error, though it fits the schema."""
    return _FAILS.search(_STRING.sub("", policy.text)) is not None


def _fits(scope: pst.PrincipalOrResourceConstraint, named: str) -> bool:
    return (
        not (isinstance(scope, pst.ScopeEq) and isinstance(scope.entity, pst.EntityUid)) or scope.entity.id == named
    )
