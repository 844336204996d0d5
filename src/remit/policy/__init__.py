"""May it: intents, Cedar policies, decisions, explanations, and the Snapshot that carries them to workers."""

from remit.policy.approval import Approval
from remit.policy.circumstances import Circumstances, FlowFacts, Moment
from remit.policy.directory import read_directory, write_starter
from remit.policy.engine import Engine
from remit.policy.explain import explain, explain_json
from remit.policy.intent import Action, Intent
from remit.policy.load import load, policy_set_digest
from remit.policy.mode import Approver
from remit.policy.permissions import Permission
from remit.policy.permit import ApprovalNeededError, Permit, PolicyRef, RefusedError, Treatment
from remit.policy.policy_set import Policy, PolicySet
from remit.policy.snapshot import PolicyFile, Snapshot

__all__ = [
    "Action",
    "Approval",
    "ApprovalNeededError",
    "Approver",
    "Circumstances",
    "Engine",
    "FlowFacts",
    "Intent",
    "Moment",
    "Permission",
    "Permit",
    "Policy",
    "PolicyFile",
    "PolicyRef",
    "PolicySet",
    "RefusedError",
    "Snapshot",
    "Treatment",
    "explain",
    "explain_json",
    "load",
    "policy_set_digest",
    "read_directory",
    "write_starter",
]
