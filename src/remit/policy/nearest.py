"""How far a refused question was from being allowed: which conditions failed, and what came out without them. Pure.

Nothing is guessed: each condition is put to Cedar, and the question asked again with those that failed taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cedarpy

from remit.detect import Label
from remit.policy.conditions import Condition, conditions
from remit.policy.in_force import InForce
from remit.policy.outcome import Answer, Outcome, answer_of
from remit.policy.permit import PolicyRef
from remit.policy.policy_set import Policy
from remit.policy.question import Question
from remit.policy.slicing import Slice

MAX_TRIED: Final = 200  # permits of one action; each takes a handful of questions of 60 µs
MAX_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Near:
    """A permit for such a call, what was not so of its conditions, and what comes out once all of that is."""

    policy: PolicyRef
    failed: tuple[Condition, ...]
    then: Answer


@dataclass(frozen=True, slots=True)
class Against:
    """A forbid that refused it, and what comes out without it."""

    policy: PolicyRef
    held: tuple[Condition, ...]
    without: Answer


@dataclass(frozen=True, slots=True)
class Distance:
    """`now` is what comes out when it is asked again. Nearest first; `more` are permits that are not shown."""

    now: Answer
    near: tuple[Near, ...] = ()
    against: tuple[Against, ...] = ()
    more: int = 0


def distance(in_force: InForce, question: Question, labels: Sequence[Label]) -> Distance:
    """Of a question to what allows it; of one that is allowed, no more than that."""
    asking = _Asking(in_force, question, labels)
    now = asking.answer(asking.sliced)
    if now.outcome is not Outcome.REFUSED:
        return Distance(now)
    permits = [policy for policy in asking.every if policy.effect == "permit"][:MAX_TRIED]
    near = [found for policy in permits if (found := asking.near(policy)) is not None]
    near.sort(key=lambda one: (one.then.outcome is Outcome.REFUSED, len(one.failed)))
    decided = {ref.id for ref in now.policies}
    forbids = [policy for policy in asking.sliced if policy.effect == "forbid" and policy.ref.id in decided]
    against = tuple(asking.against(policy) for policy in forbids)
    return Distance(now, tuple(near[:MAX_SHOWN]), against, max(0, len(near) - MAX_SHOWN))


class _Asking:
    """One question, put to other policies than those in force."""

    def __init__(self, in_force: InForce, question: Question, labels: Sequence[Label]) -> None:
        self._in_force, self._question, self._labels = in_force, question, labels
        policies = in_force.policies.policies
        self.every = [one for one in policies if question.action in one.actions and not one.observed]
        self.sliced = in_force.slice(question).policies

    def answer(self, policies: Sequence[Policy]) -> Answer:
        text = "\n".join(policy.text for policy in policies)
        some = Slice(tuple(policies), cedarpy.PolicySet.from_str(text))
        return answer_of(self._in_force.ask_of(self._question, some), self._labels)

    def near(self, policy: Policy) -> Near | None:
        """None for a permit that is for others, or whose conditions all held."""
        its = conditions(policy)
        if self._so(f"{its.scope};", policy) is not True:
            return None
        failed = tuple(one for one in its.each if self._so(f"{its.scope} when {{ {one.text} }};", policy) is not True)
        if not failed:
            return None
        left = "".join(f" when {{ {one.text} }}" for one in its.each if one not in failed)
        changed = replace(policy, text=f"{its.scope}{left};")
        return Near(policy.ref, failed, self.answer([*(one for one in self.sliced if one is not policy), changed]))

    def against(self, policy: Policy) -> Against:
        others = [one for one in self.sliced if one is not policy]
        return Against(policy.ref, conditions(policy).each, self.answer(others))

    def _so(self, text: str, policy: Policy) -> bool | None:
        """Whether one policy of this text permits it; None where it can't be evaluated."""
        some = Slice((policy,), cedarpy.PolicySet.from_str(text))
        verdict = self._in_force.ask_of(self._question, some)
        return None if verdict.errors else verdict.allowed
