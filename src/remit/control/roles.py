"""Who may do what at the control API: a table of its routes, and what is whose.

A person governs what is theirs; administrators govern all; auditors see all and change nothing. Where one person runs
Remit for themselves (user mode), they and root are its administrators.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remit.errors import RemitError

ROOT: Final = 0
_DEPLOYS: Final = "which models and tools are used is for those whom `roles.deployer` names"
_WHO: Final = "its owner or an administrator can; `remit status` says who administers this Remit"


class NotAdmittedError(RemitError):
    """The peer may not use the control API, or not for this."""

    exit_code = 3


class Role(enum.StrEnum):
    PERSON = "person"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class Rule(enum.StrEnum):
    """What a route is about, and so who may ask. What is shown or done is narrowed to what is the visitor's."""

    KNOWN = "anyone known: it tells nothing of a person"
    SEES = "anyone known: it tells what is theirs, administrators and auditors of all"
    GOVERNS = "not auditors: it changes what is the visitor's; administrators change all"
    ADMINISTERS = "administrators: it is about the whole instance"


Route = tuple[str, str]

RULES: Final[Mapping[Route, Rule]] = {
    ("GET", "/status"): Rule.SEES,
    ("GET", "/names"): Rule.SEES,
    ("GET", "/policies"): Rule.KNOWN,
    ("GET", "/whois"): Rule.SEES,
    ("GET", "/can"): Rule.SEES,
    ("GET", "/explain/{decision}"): Rule.SEES,
    ("GET", "/records"): Rule.SEES,
    ("GET", "/tasks"): Rule.SEES,
    ("POST", "/tasks"): Rule.GOVERNS,
    ("GET", "/tasks/{task_id}"): Rule.SEES,
    ("POST", "/tasks/{task_id}/extend"): Rule.GOVERNS,
    ("POST", "/tasks/{task_id}/say"): Rule.GOVERNS,
    ("DELETE", "/tasks/{task_id}"): Rule.GOVERNS,
    ("POST", "/stop"): Rule.ADMINISTERS,
    ("POST", "/session/nonce"): Rule.GOVERNS,
    ("POST", "/session"): Rule.GOVERNS,
    ("DELETE", "/session"): Rule.GOVERNS,
    ("GET", "/workloads"): Rule.SEES,
    ("GET", "/workload"): Rule.SEES,
    ("POST", "/workloads"): Rule.GOVERNS,
    ("POST", "/workload/facts"): Rule.GOVERNS,
    ("POST", "/workload/{verb}"): Rule.GOVERNS,
    ("GET", "/models"): Rule.SEES,
    ("POST", "/models/approve"): Rule.GOVERNS,
    ("GET", "/approvals"): Rule.SEES,
    ("GET", "/approvals/{approval_id}"): Rule.SEES,
    ("POST", "/approvals/{approval_id}/approve"): Rule.GOVERNS,
    ("POST", "/approvals/{approval_id}/deny"): Rule.GOVERNS,
    ("GET", "/break-glass"): Rule.SEES,
    ("POST", "/break-glass"): Rule.ADMINISTERS,
    ("POST", "/break-glass/close"): Rule.ADMINISTERS,
    ("POST", "/break-glass/review"): Rule.ADMINISTERS,
    ("POST", "/break-glass/seal"): Rule.ADMINISTERS,
    ("GET", "/proofs/{proof_id}"): Rule.KNOWN,
    ("GET", "/passkeys"): Rule.KNOWN,
    ("POST", "/passkeys"): Rule.GOVERNS,
    ("DELETE", "/passkeys"): Rule.GOVERNS,
    ("GET", "/bundle"): Rule.KNOWN,
    ("GET", "/oidc"): Rule.KNOWN,
    ("POST", "/authority/rotate"): Rule.ADMINISTERS,
}

_MAY: Final[Mapping[Rule, frozenset[Role]]] = {
    Rule.KNOWN: frozenset(Role),
    Rule.SEES: frozenset(Role),
    Rule.GOVERNS: frozenset({Role.PERSON, Role.ADMINISTRATOR}),
    Rule.ADMINISTERS: frozenset({Role.ADMINISTRATOR}),
}


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is more than a person here, by name. Root always administers: it could do all of it anyway."""

    administrators: frozenset[str] = frozenset()
    auditors: frozenset[str] = frozenset()
    deployers: frozenset[str] = frozenset()
    approvers: frozenset[str] = frozenset()

    def reach(self, name: str, uid: int, uids: tuple[int, ...]) -> "Reach":
        """What somebody sees, governs and may besides."""
        deployer = name in self.deployers if self.deployers else None
        approver = name in self.approvers if self.approvers else None
        return Reach(name, self.of(name, uid), uids, deployer, approver)

    def of(self, name: str, uid: int) -> Role:
        """The role of somebody who acts through this account."""
        if uid == ROOT or name in self.administrators:
            return Role.ADMINISTRATOR
        return Role.AUDITOR if name in self.auditors else Role.PERSON


def check_route(role: Role, method: str, path: str) -> None:
    """Raise NotAdmittedError unless the role may ask this; also for a route that the table doesn't have."""
    rule = RULES.get((method, path))
    if rule is None:
        raise NotAdmittedError(f"nobody may ask `{method} {path}`: no rule says who")
    if role not in _MAY[rule]:
        may = " or ".join(f"an {one}" if one is not Role.PERSON else "a person" for one in Role if one in _MAY[rule])
        raise NotAdmittedError(f"this takes {may}, and you are {_ARTICLE[role]} {role} here", hint=_WHO)


_ARTICLE: Final[Mapping[Role, str]] = {Role.PERSON: "a", Role.AUDITOR: "an", Role.ADMINISTRATOR: "an"}


@dataclass(frozen=True, slots=True)
class Reach:
    """What one visitor sees and governs, by whose it is. `uids` are their accounts: what runs there and has no owner
    yet is theirs to own. `deployer` and `approver`: whether they are, or None where nobody is named as one.
    """

    name: str
    role: Role
    uids: tuple[int, ...] = ()
    deployer: bool | None = None
    approver: bool | None = None

    @property
    def approves(self) -> bool:
        """Whether they answer what takes an approver."""
        return self.role is Role.ADMINISTRATOR if self.approver is None else self.approver

    def check_deploys(self) -> None:
        """Raise NotAdmittedError for whoever may not say which models and tools are used."""
        if self.deployer is False:
            raise NotAdmittedError("this takes a deployer, and you are none here", hint=_DEPLOYS)

    def sees(self, owner: str, uid: int | None = None) -> bool:
        return self.role is not Role.PERSON or self._own(owner, uid)

    def governs(self, owner: str, uid: int | None = None) -> bool:
        return self.role is Role.ADMINISTRATOR or (self.role is Role.PERSON and self._own(owner, uid))

    def check_sees(self, what: str, owner: str, uid: int | None = None) -> None:
        """Raise NotAdmittedError that says no more than whose it isn't."""
        if not self.sees(owner, uid):
            raise NotAdmittedError(f"{what} is another person's", hint=_WHO)

    def check_governs(self, what: str, owner: str, uid: int | None = None) -> None:
        if not self.governs(owner, uid):
            raise NotAdmittedError(f"{what} is another person's", hint=_WHO)

    def _own(self, owner: str, uid: int | None) -> bool:
        return owner == self.name if owner else uid is not None and uid in self.uids


ALL: Final = Reach("", Role.ADMINISTRATOR)  # what the instance tells its own terminal, and the log of itself
