"""May it: intents, Cedar policies, decisions, explanations, and the Snapshot that carries them to workers."""

from remit.policy.intent import Action, Intent
from remit.policy.permit import Permit, PolicyRef, RefusedError, Treatment
from remit.policy.snapshot import PolicyFile, Snapshot

__all__ = [
    "Action",
    "Intent",
    "Permit",
    "PolicyFile",
    "PolicyRef",
    "RefusedError",
    "Snapshot",
    "Treatment",
]
