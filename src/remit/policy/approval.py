"""An approval as a decision takes it: of exactly one intent, under exactly these policies. Pure.

`control` alone makes one, from what a person agreed to with a proof, and spends it there once.
"""

from dataclasses import dataclass

from remit.policy.mode import Approver


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody agreed. `by` is their pseudonym; `level` what they are for this: its owner, or another who approves.

    `intent_digest` binds caller, action, what is acted on, arguments (the body) and model digest.
    """

    id: str
    intent_digest: bytes
    policy_set: str
    level: Approver
    by: str

    def holds(self, intent_digest: bytes, policy_set: str, needed: Approver) -> bool:
        """Whether it is of this, and enough."""
        return (self.intent_digest, self.policy_set) == (intent_digest, policy_set) and self.level >= needed
