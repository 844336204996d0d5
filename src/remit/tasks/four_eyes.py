"""Who may answer a request for an approval: never who asks, by whatever name, account or hands. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from remit.errors import UsageError
from remit.tasks.approval_request import APPROVER, OWNER, ApprovalError

ROOT: Final = 0
MIN_REASON: Final = 10
MAX_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Hands:
    """A person, by all that tells of them: names, and the uids that they act through.

    `uids` are their accounts, that of the process and its login's; `beneath` those of the processes that it runs
    beneath. Beneath root runs everything: that tells nothing.
    """

    names: frozenset[str]
    uids: frozenset[int]
    beneath: frozenset[int] = field(default=frozenset())

    def joined(self, other: "Hands") -> "Hands":
        """Both as one."""
        return Hands(self.names | other.names, self.uids | other.uids, self.beneath | other.beneath)

    @property
    def uids_that_tell(self) -> frozenset[int]:
        return self.uids | (self.beneath - {ROOT})


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds here. `single_operator`: the owner may confirm what they asked for themselves; `alone`: nobody else
    could answer; `pause`: seconds that a request must have been there before who asked confirms it."""

    single_operator: bool = False
    alone: bool = False
    pause: float = 10.0


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: what of theirs it is (`owns`), and whether they have the role of an approver."""

    hands: Hands
    owns: bool
    approves: bool


def level(answerer: Answerer, needed: str) -> str:
    """As what they may answer: `approver` before `owner`. Raises ApprovalError for who is neither, or not enough."""
    if answerer.approves:
        return APPROVER
    if answerer.owns and needed == OWNER:
        return OWNER
    whose = "its owner or an approver" if needed == OWNER else "an approver"
    raise ApprovalError(f"this takes {whose}, and you are not", hint="`remit status` shows who is what here")


def same(one: Hands, other: Hands) -> str:
    """What shows that two are one person, or nothing."""
    if names := one.names & other.names:
        return f"`{min(names)}` asked for it"
    if uids := one.uids_that_tell & other.uids:
        return f"uid {min(uids)} asked for it, and answers"
    return ""


def check_self_confirmed(because: str, needed: str, waited: float, reason: str, rules: Rules) -> None:
    """Whether who asked may confirm it themselves: on a one-person machine, after a pause and with a reason.

    Raises ApprovalError and UsageError. It is called self-confirmed wherever it is shown: it is no approval.
    """
    if needed != OWNER:
        raise ApprovalError(f"{because}: this takes another person", hint="an approver who did not ask can do it")
    if not rules.single_operator:
        raise ApprovalError(
            f"{because}: who asks does not approve", hint="`approvals.single_operator` is for one-person machines"
        )
    if not rules.alone:
        raise ApprovalError(f"{because}, and others have accounts here: one of them approves it")
    if waited < rules.pause:
        left = rules.pause - waited
        raise ApprovalError(f"{because}: confirming it yourself takes a pause, {left:.0f} s more")
    check_reason(reason)


def check_reason(reason: str) -> None:
    """Raises UsageError for what is no reason."""
    if len(reason.strip()) < MIN_REASON:
        raise UsageError("the reason is too short", hint=f"say with --reason in {MIN_REASON} letters or more why")
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise UsageError(f"the reason must be one line of at most {MAX_REASON} printable letters")


def anyone(names: Collection[str], uids: Collection[int]) -> Hands:
    """Everybody who asks, as one: whoever of them answers, it is who asked."""
    return Hands(frozenset(name for name in names if name), frozenset(uids))
