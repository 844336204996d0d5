"""A recorded question asked again, of other policies or of the same. Pure.

A value that was not kept is left open: Cedar evaluates what can be evaluated without it, and where the answer hangs
on it, the outcome is unknown.
"""

import re
from typing import Any, Final

import cedarpy

from remit.policy.in_force import InForce
from remit.policy.mode import Approver
from remit.policy.outcome import Answer, Outcome, answer_of
from remit.policy.question import Question
from remit.policy.quoting import quoted
from remit.policy.recorded import DECLARED, Recorded
from remit.policy.refusal import POLICY_ERROR
from remit.policy.residue import can_fail
from remit.policy.slicing import Slice

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_TASKS_ACTIONS: Final = "attr='actions'"
_HAS_ACTION: Final = (
    "BinaryOp(op='contains', left=GetAttr(base=GetAttr(base=Var(name='context'), attr='task'), attr='actions'), "
    "right=StringLit(value='{}'))"
)

# What can't be left open to Cedar, as policies ask whether it is there: by what isn't known, its key in the context.
_WHOLE: Final = {DECLARED: "task", "access": "access"}


class Again:
    """Asks one policy set."""

    def __init__(self, in_force: InForce) -> None:
        self.in_force = in_force
        self._words: dict[int, tuple[Slice, frozenset[str], str]] = {}

    def answer(self, asked: Recorded) -> Answer:
        """What they say; of an unknown outcome `rule` names what isn't known."""
        some = self.in_force.slice(asked.question)
        if not asked.unknown:
            return answer_of(self.in_force.ask_of(asked.question, some), asked.labels)
        words, conditions = self._read_by(some)
        read = asked.unknown & words
        for unsaid, key in _WHOLE.items():
            if unsaid in asked.unknown and key in words:
                return Answer(Outcome.UNKNOWN, unsaid)
        only_own = conditions.count(_HAS_ACTION.format(asked.question.action.value))
        if "actions" in read and conditions.count(_TASKS_ACTIONS) == only_own:
            read -= {"actions"}  # a task that covered it names this action, and no policy asks for anything else
        if not read:
            return answer_of(self.in_force.ask_of(asked.question, some), asked.labels)
        return self._partly(asked, read, some)

    def _partly(self, asked: Recorded, read: frozenset[str], some: Slice) -> Answer:
        """As far as it can be told without what is in `read`."""
        question = asked.question
        unknown = Answer(Outcome.UNKNOWN, ", ".join(sorted(read)))
        entities = self.in_force.world.entities(question.principal, question.owner, enrolled=question.enrolled)
        result = cedarpy.is_authorized_partial(_request(question, read), some.compiled, entities)
        left = [some.policies[int(name[6:])] for name in result.diagnostics.nontrivial_residuals]
        if result.diagnostics.errors:
            return Answer(Outcome.REFUSED, POLICY_ERROR)
        if result.decision is cedarpy.Decision.NoDecision or any(can_fail(policy) for policy in left):
            return unknown
        if result.decision is cedarpy.Decision.Deny:
            sure = [some.policies[int(name[6:])].ref for name in sorted(result.diagnostics.must_be_determining)]
            return Answer(Outcome.REFUSED, sure[0].id if sure else "default-deny", tuple(sure))
        # Allowed either way; what is left open could still want an approval, or refuse what was found.
        if any(policy.approver is not Approver.NOBODY or asked.labels for policy in left):
            return unknown
        return answer_of(self.in_force.ask_of(question, some), asked.labels)

    def _read_by(self, some: Slice) -> tuple[frozenset[str], str]:
        """All words in the conditions of a slice's policies, and these conditions as Cedar understands them."""
        known = self._words.get(id(some))
        if known is None or known[0] is not some:
            conditions = repr([policy.tree.clauses for policy in some.policies])
            known = (some, frozenset(_WORD.findall(conditions)), conditions)
            self._words[id(some)] = known
        return known[1], known[2]


def _request(question: Question, read: frozenset[str]) -> dict[str, Any]:
    target = question.acted_on()
    return {
        "principal": f"Workload::{quoted(str(question.principal))}",
        "action": f"Action::{quoted(question.action.value)}",
        "resource": f"{target['type']}::{quoted(target['id'])}",
        "context": _without(question.context(), read),
    }


def _without(context: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The context with these left open."""
    made = dict(context)
    for section in (None, "model", "task", "flow"):
        row = made if section is None else dict(made.get(section, {}))
        for name in names & row.keys():
            row[name] = {"__extn": {"fn": "unknown", "arg": name}}
        if section is not None and section in made:
            made[section] = row
    return made
