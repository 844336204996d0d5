"""Every act that a person may ask for: those that widen reach need proof of a person, the others say why not; pure.

`ROUTES` and `COMMANDS` name the act behind each route of the control API and each command, or say why there is none.
A test finds those that are missing here (tests/house/test_acts.py).
"""

import enum
from collections.abc import Mapping
from typing import Final


class Act(enum.StrEnum):
    """What is asked for."""

    TASK_START = "task.start"
    TASK_EXTEND = "task.extend"
    TASK_SAY = "task.say"
    TASK_END = "task.end"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    WORKLOAD_ADD = "workload.add"
    WORKLOAD_SET = "workload.set"
    WORKLOAD_OWN = "workload.own"
    WORKLOAD_ACTIVATE = "workload.activate"
    WORKLOAD_SUSPEND = "workload.suspend"
    WORKLOAD_RESUME = "workload.resume"
    WORKLOAD_TRANSFER = "workload.transfer"
    WORKLOAD_RETIRE = "workload.retire"
    MODEL_APPROVE = "model.approve"
    APPROVAL_APPROVE = "approval.approve"
    APPROVAL_DENY = "approval.deny"
    AUTHORITY_ROTATE = "authority.rotate"
    POLICY_CHANGE = "policy.change"
    CONFIG_CHANGE = "config.change"
    SECRET = "secret"  # noqa: S105 - an act's name
    STOP = "stop"
    UNINSTALL = "uninstall"
    PASSKEY_ADD = "passkey.add"
    PASSKEY_REMOVE = "passkey.remove"
    BREAK_GLASS_OPEN = "break-glass.open"
    BREAK_GLASS_REVIEW = "break-glass.review"
    BREAK_GLASS_SEAL = "break-glass.seal"
    BREAK_GLASS_CLOSE = "break-glass.close"

    @property
    def widens(self) -> bool:
        """Whether it lets anybody reach more, or takes a guard away: then it needs a proof."""
        return self not in NARROWS


NARROWS: Final[Mapping[Act, str]] = {
    Act.TASK_END: "it only ends what was allowed; who sees something go wrong must not be asked for a password first",
    Act.BREAK_GLASS_CLOSE: "it only takes reach away",
    Act.APPROVAL_DENY: "it only refuses, or takes back what was not used",
    Act.SESSION_END: "it only ends what was allowed",
    Act.WORKLOAD_SUSPEND: "it only takes reach away, and resuming takes a proof",
}

# Acts that nothing asks for: other doors have them, or they come with what they are for.
ELSEWHERE: Final[Mapping[Act, str]] = {
    Act.POLICY_CHANGE: "policies are files of whoever owns their directory",
    Act.CONFIG_CHANGE: "the configuration is a file of whoever owns its directory",
    Act.SECRET: "secrets are kept in no store yet",
    Act.UNINSTALL: "it takes root, who needs nobody's leave on this machine",
}

_READS: Final = "it only reads"
_OWN_FILES: Final = "it reads files that whoever runs it may read, and asks nobody"

ROUTES: Final[Mapping[str, Act | str]] = {
    "GET /status": _READS,
    "GET /explain/{decision}": _READS,
    "GET /records": _READS,
    "GET /names": _READS,
    "GET /policies": _READS,
    "GET /whois": _READS,
    "GET /can": _READS,
    "GET /tasks": _READS,
    "GET /models": _READS,
    "GET /bundle": _READS,
    "GET /oidc": _READS,
    "GET /workloads": _READS,
    "GET /workload": _READS,
    "POST /tasks": Act.TASK_START,
    "GET /tasks/{task_id}": _READS,
    "POST /tasks/{task_id}/extend": Act.TASK_EXTEND,
    "POST /tasks/{task_id}/say": Act.TASK_SAY,
    "DELETE /tasks/{task_id}": Act.TASK_END,
    "POST /session/nonce": "a number that is of use only to begin a session, which takes a proof",
    "POST /session": Act.SESSION_BEGIN,
    "DELETE /session": Act.SESSION_END,
    "POST /workloads": Act.WORKLOAD_ADD,
    "POST /workload/facts": Act.WORKLOAD_SET,
    "POST /workload/own": Act.WORKLOAD_OWN,
    "POST /workload/activate": Act.WORKLOAD_ACTIVATE,
    "POST /workload/suspend": Act.WORKLOAD_SUSPEND,
    "POST /workload/resume": Act.WORKLOAD_RESUME,
    "POST /workload/transfer": Act.WORKLOAD_TRANSFER,
    "POST /workload/retire": Act.WORKLOAD_RETIRE,
    "POST /models/approve": Act.MODEL_APPROVE,
    "POST /authority/rotate": Act.AUTHORITY_ROTATE,
    "GET /approvals": _READS,
    "GET /approvals/{approval_id}": _READS,
    "POST /approvals/{approval_id}/approve": Act.APPROVAL_APPROVE,
    "POST /approvals/{approval_id}/deny": Act.APPROVAL_DENY,
    "GET /break-glass": _READS,
    "POST /break-glass": Act.BREAK_GLASS_OPEN,
    "POST /break-glass/close": Act.BREAK_GLASS_CLOSE,
    "POST /break-glass/review": Act.BREAK_GLASS_REVIEW,
    "POST /break-glass/seal": Act.BREAK_GLASS_SEAL,
    "GET /proofs/{proof_id}": _READS,
    "GET /passkeys": _READS,
    "POST /passkeys": Act.PASSKEY_ADD,
    "DELETE /passkeys": Act.PASSKEY_REMOVE,
    "POST /stop": Act.STOP,
}

COMMANDS: Final[Mapping[str, Act | str]] = {
    "up": "it starts an instance of whoever runs it; system mode's takes root",
    "status": _READS,
    "doctor": _READS,
    "whois": _READS,
    "can": _READS,
    "explain": _READS,
    "bundle": _READS,
    "login": Act.SESSION_BEGIN,
    "logout": Act.SESSION_END,
    "down": Act.STOP,
    "install": "it takes root, who needs nobody's leave on this machine",
    "uninstall": Act.UNINSTALL,
    "workload list": _READS,
    "workload show": _READS,
    "workload add": Act.WORKLOAD_ADD,
    "workload set": Act.WORKLOAD_SET,
    "workload own": Act.WORKLOAD_OWN,
    "workload activate": Act.WORKLOAD_ACTIVATE,
    "workload suspend": Act.WORKLOAD_SUSPEND,
    "workload resume": Act.WORKLOAD_RESUME,
    "workload transfer": Act.WORKLOAD_TRANSFER,
    "workload retire": Act.WORKLOAD_RETIRE,
    "model list": _READS,
    "model approve": Act.MODEL_APPROVE,
    "approvals list": _READS,
    "approvals show": _READS,
    "approvals approve": Act.APPROVAL_APPROVE,
    "approvals deny": Act.APPROVAL_DENY,
    "break-glass open": Act.BREAK_GLASS_OPEN,
    "break-glass close": Act.BREAK_GLASS_CLOSE,
    "break-glass list": _READS,
    "break-glass show": _READS,
    "break-glass review": Act.BREAK_GLASS_REVIEW,
    "break-glass seal": Act.BREAK_GLASS_SEAL,
    "passkey add": Act.PASSKEY_ADD,
    "passkey list": _READS,
    "passkey remove": Act.PASSKEY_REMOVE,
    "task start": Act.TASK_START,
    "task run": Act.TASK_START,
    "task list": _READS,
    "task show": _READS,
    "task extend": Act.TASK_EXTEND,
    "task say": Act.TASK_SAY,
    "task end": Act.TASK_END,
    "policy check": _OWN_FILES,
    "policy show": _READS,
    "policy test": _READS,
    "policy fmt": _OWN_FILES,
    "policy diff": _READS,
    "policy replay": _READS,
    "policy learn": _READS,
    "policy pack": _OWN_FILES,
    "policy verify": _READS,
    "audit tail": _OWN_FILES,
    "audit show": _OWN_FILES,
    "audit verify": _OWN_FILES,
    "audit export": _OWN_FILES,
    "authority rotate": Act.AUTHORITY_ROTATE,
    "oidc publish": "it writes public keys where whoever runs it may write",
}
