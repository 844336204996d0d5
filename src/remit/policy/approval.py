"""An approval as a decision takes it: of exactly one intent, under exactly these policies. Pure.

`control` alone makes one, from what a person agreed to with a proof, and spends it there once.
"""

from dataclasses import dataclass

from remit.policy.intent import Intent
from remit.policy.mode import Approver


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody agreed. `by` and `requester` are people's names; `level` what `by` is for this: its owner, or another
    who approves. It is good before `expires` (Unix seconds). `binding` is the intent's.

    `self_confirmed`: they are one person, where there is nobody else, and it is called that wherever it is shown.
    """

    id: str
    binding: bytes
    policy_set: str
    level: Approver
    by: str
    requester: str
    expires: float
    self_confirmed: bool = False

    def holds(self, intent: Intent, policy_set: str, needed: Approver, now: float) -> bool:
        """Whether it is of this, by somebody who may, and not over."""
        if self.by == self.requester and not self.self_confirmed:
            return False
        of_this = self.requester == intent.caller.human and self.policy_set == policy_set
        return of_this and self.level >= needed and now < self.expires and self.binding == intent.binding
