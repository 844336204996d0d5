"""A loaded policy set: only `load()` makes one, so whoever holds one holds policies that fit the schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cedarpy import pst

from remit.detect import Label
from remit.policy.intent import Action
from remit.policy.mode import Approver
from remit.policy.permit import PolicyRef, Treatment
from remit.policy.thing import Thing
from remit.tasks.profile import Profile


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. `actions` are those its scope can match; `plan` holds only the labels it speaks of.

    What a permit permits takes its `approver`; an `observed` forbid is not enforced.
    """

    ref: PolicyRef
    effect: pst.Effect
    actions: frozenset[Action]
    hint: str
    plan: Mapping[Label, Treatment]
    text: str
    tree: pst.Template
    approver: Approver = Approver.NOBODY
    observed: bool = False


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force, in file order, and beside them what the catalogue lists, and profiles by name.

    `digest` is `sha256:<hex>` over file names and texts.
    """

    policies: tuple[Policy, ...]
    files: tuple[str, ...]
    digest: str
    things: tuple[Thing, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def named(self, policy_id: str) -> Policy | None:
        """The policy with this `@id`, or None."""
        return next((policy for policy in self.policies if policy.ref.id == policy_id), None)
