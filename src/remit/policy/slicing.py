"""Which policies a question needs: a sound superset, small enough to be quick.

Cedar walks every policy of a set at each decision (about 0.9 µs each). Most can be known not to apply without it:

- by the action in the scope;
- by `principal == …` and `resource == …` in the scope;
- for a permit, also by its first conditions, as long as they compare an attribute that is always there
  with a literal (`resource.owner == Human::"ada"`). Cedar evaluates conditions from the left and stops at
  the first that is false, so a policy left out for one of these could neither have matched nor have failed.

A `forbid` is left out by its scope alone, never by a condition: a permit left out wrongly refuses,
a forbid left out wrongly allows.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cedarpy
from cedarpy import pst

from remit.policy.intent import Action
from remit.policy.policy_set import Policy
from remit.policy.question import Json, Question
from remit.policy.reads import reads

MAX_SLICES: Final = 512  # compiled slices kept; a slice of 13 policies takes about 40 kB

Guard = tuple[str, str]  # what must be, and its value: ("resource.owner", "ada")

_ENTITY_PATHS: Final = {
    ("principal", "owner"): "principal.owner",
    ("resource", "owner"): "resource.owner",
    ("context", "human"): "context.human",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Policies compiled together. Cedar's `policyN` is `policies[N]`; in `watched` it is `observed[N]`.

    These are apart, so that nothing of theirs can decide. `reads` are the keys of the context that any of them reads;
    None: all of them.
    """

    policies: tuple[Policy, ...]
    compiled: cedarpy.PolicySet
    observed: tuple[Policy, ...] = ()
    watched: cedarpy.PolicySet | None = None
    reads: frozenset[str] | None = None

    def trimmed(self, request: Json) -> Json:
        """The request with no more of its context than these policies read."""
        if self.reads is None:
            return request
        context = request["context"]
        return {**request, "context": {key: context[key] for key in self.reads & context.keys()}}


class Slicer:
    """Finds the slice for a question. Not shared between threads."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = tuple(policies)
        self._guards = tuple(frozenset(_guards(policy)) for policy in policies)
        self._always: dict[Action, list[int]] = {action: [] for action in Action}
        self._filed: dict[tuple[Action, Guard], list[int]] = {}
        self._slices: OrderedDict[tuple[int, ...], Slice] = OrderedDict()
        shared = Counter(guard for guards in self._guards for guard in guards)
        for index, guards in enumerate(self._guards):
            self._file(index, min(guards, key=lambda guard: (shared[guard], guard), default=None))

    def slice(self, question: Question) -> Slice:
        """The compiled slice for this question."""
        wanted = self.candidates(question)
        found = self._slices.get(wanted)
        if found is None:
            found = self._compile(wanted)
        else:
            self._slices.move_to_end(wanted)
        return found

    def candidates(self, question: Question) -> tuple[int, ...]:
        """The indexes, in file order, of every policy that could match this question."""
        so = facts(question)
        found = list(self._always[question.action])
        for guard in so:
            filed = self._filed.get((question.action, guard), ())
            found.extend(index for index in filed if self._guards[index] <= so)
        return tuple(sorted(found))

    def _compile(self, wanted: tuple[int, ...]) -> Slice:
        every = tuple(self._policies[index] for index in wanted)
        enforced = tuple(policy for policy in every if not policy.observed)
        observed = tuple(policy for policy in every if policy.observed)
        watched = _compiled(observed) if observed else None
        self._slices[wanted] = Slice(enforced, _compiled(enforced), observed, watched, reads(every))
        if len(self._slices) > MAX_SLICES:
            self._slices.popitem(last=False)
        return self._slices[wanted]

    def _file(self, index: int, guard: Guard | None) -> None:
        """File a policy under its rarest guard: no question then looks through many that don't apply."""
        for action in self._policies[index].actions:
            if guard is None:
                self._always[action].append(index)
            else:
                self._filed.setdefault((action, guard), []).append(index)


def _compiled(policies: tuple[Policy, ...]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_str("\n".join(policy.text for policy in policies))


def facts(question: Question) -> frozenset[Guard]:
    """What is so for this question, in the terms of guards."""
    return frozenset(
        (
            ("resource", str(question.resource) if question.thing is None else question.thing.id),
            ("principal", str(question.principal)),
            ("resource.owner", question.resource_owner),
            ("principal.owner", question.owner),
            ("context.human", question.human),
        )
    )


def _guards(policy: Policy) -> Iterator[Guard]:
    """What must be so for the policy to match; read from the left, until a condition that tells nothing."""
    for name, scope in (("principal", policy.tree.principal), ("resource", policy.tree.resource)):
        if isinstance(scope, pst.ScopeEq) and isinstance(scope.entity, pst.EntityUid):
            yield name, scope.entity.id
    if policy.effect == "forbid":
        return
    for clause in policy.tree.clauses:
        if not isinstance(clause, pst.When):
            return
        for conjunct in _conjuncts(clause.expr):
            guard = _comparison(conjunct)
            if guard is None:
                return
            yield guard


def _conjuncts(expression: pst.Expr) -> Iterator[pst.Expr]:
    """`a && b && c` from the left."""
    if isinstance(expression, pst.BinaryOp) and expression.op == "and":
        yield from _conjuncts(expression.left)
        yield from _conjuncts(expression.right)
    else:
        yield expression


def _comparison(expression: pst.Expr) -> Guard | None:
    """The guard that `resource.owner == Human::"ada"` is, either way round; None for anything else."""
    if not (isinstance(expression, pst.BinaryOp) and expression.op == "eq"):
        return None
    for path, literal in ((expression.left, expression.right), (expression.right, expression.left)):
        if isinstance(path, pst.GetAttr) and isinstance(path.base, pst.Var) and isinstance(literal, pst.EntityLit):
            name = _ENTITY_PATHS.get((path.base.name, path.attr))
            if name is not None and str(literal.value.type) == "Human":
                return name, literal.value.id
    return None
