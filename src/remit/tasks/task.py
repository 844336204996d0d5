"""A task: a declared job with an end, for one human, that lets named actions on one workload happen."""

from dataclasses import dataclass
from typing import Any, Final

from remit.detect import Label
from remit.identity import SpiffeId
from remit.tasks.budget import NOTHING, UNLIMITED, Budget, Spent
from remit.tasks.grant import ToolGrant
from remit.tasks.narrowing import Reach, ceiling_of, within

WORKLOAD: Final = "workload"


@dataclass(frozen=True, slots=True)
class Task:
    """One task. Times are Unix seconds. `token_sha256` is the hex SHA-256 of its bearer token (never the token).

    `human` is whom it is for. `proof` is how the person who started it was known: `terminal`, or `uid` (weak);
    `workload` where no person did. `parent` is the id of the task or session it was cut from, and ends with.
    `launched` is the process (pid, start) that Remit launched for it, and with which it ends.
    `chain` are the workloads that it passed through, the first first: only the last may use it. Empty: any that
    acts for its human.
    `profile` is the profile that it was started from, or empty. `tools`, `ceiling`, `destinations`, `budget` and
    `present` are as in `Reach`. `high` and `untrusted` are how sensitive what came into it is, and whether anything
    came from outside: of it, of what it was cut from and of all that was cut from that. `spent` counts what workers
    hold of its budget as spent.
    """

    id: str
    human: str
    on: SpiffeId
    actions: tuple[str, ...]
    purpose: str
    started: float
    expires: float
    token_sha256: str
    proof: str
    ended: float | None = None
    parent: str | None = None
    chain: tuple[SpiffeId, ...] = ()
    launched: tuple[int, int] | None = None
    profile: str = ""
    tools: tuple[ToolGrant, ...] = ()
    ceiling: Label = Label.RESTRICTED
    destinations: tuple[str, ...] = ()
    budget: Budget = UNLIMITED
    present: bool = False
    high: Label = Label.PUBLIC
    untrusted: bool = False
    spent: Spent = NOTHING

    @property
    def reach(self) -> Reach:
        """What may be cut from it, but for its life."""
        return Reach(self.actions, self.tools, self.ceiling, self.destinations, self.budget, self.present)

    @property
    def of_a_person(self) -> bool:
        """Whether a person started it, or what it was cut from: a workload's own task adds nothing to what it may."""
        return self.proof != WORKLOAD

    def live(self, now: float) -> bool:
        """Whether the task still holds at `now` (Unix seconds)."""
        return self.ended is None and self.started <= now < self.expires

    def covers(self, action: str, resource: SpiffeId | None, now: float) -> bool:
        """Whether the task names this action on this workload and has not ended.

        None: on a thing that its lists name, whichever workload offers it.
        """
        return self.live(now) and action in self.actions and resource in {None, self.on}

    def fits(self, tool: str, arguments: object) -> bool:
        """Whether it lists this tool with these arguments (as JSON has them; None where they aren't known)."""
        return any(grant.covers(tool, arguments) for grant in self.tools)

    def sends_to(self, destination: str) -> bool:
        """Whether it lists this destination."""
        return within(destination, self.destinations)

    def involves(self, workload: SpiffeId) -> bool:
        """Whether it is on this workload, or passed through its hands."""
        return workload == self.on or workload in self.chain

    def held_by(self, caller: SpiffeId) -> bool:
        """Whether this caller may use it, as far as the task says."""
        return not self.chain or self.chain[-1] == caller

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "human": self.human,
            "on": str(self.on),
            "actions": list(self.actions),
            "purpose": self.purpose,
            "started": self.started,
            "expires": self.expires,
            "token_sha256": self.token_sha256,
            "proof": self.proof,
            "ended": self.ended,
            "parent": self.parent,
            "chain": [str(actor) for actor in self.chain],
            "launched": self.launched and list(self.launched),
            "profile": self.profile,
            "tools": [grant.to_dict() for grant in self.tools],
            "ceiling": self.ceiling.value,
            "destinations": list(self.destinations),
            "budget": self.budget.to_dict(),
            "present": self.present,
            "high": self.high.value,
            "untrusted": self.untrusted,
            "spent": self.spent.to_dict(),
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Task":
        chain = tuple(SpiffeId.parse(actor) for actor in row.get("chain", ()))
        launched = (row["launched"][0], row["launched"][1]) if row.get("launched") else None
        parsed = {"on": SpiffeId.parse(row["on"]), "actions": tuple(row["actions"])}
        declared = {
            "tools": tuple(ToolGrant.from_dict(grant) for grant in row.get("tools", ())),
            "ceiling": ceiling_of(row.get("ceiling", Label.RESTRICTED.value)),
            "destinations": tuple(row.get("destinations", ())),
            "budget": Budget.from_dict(row.get("budget", {})),
            "high": ceiling_of(row.get("high", Label.PUBLIC.value)),
            "spent": Spent(**row.get("spent", {})),
        }
        return cls(**{**row, **parsed, **declared, "chain": chain, "launched": launched})
