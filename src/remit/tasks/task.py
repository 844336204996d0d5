"""A task: a declared job with an end, for one human, that lets named actions on one workload happen."""

from dataclasses import dataclass
from typing import Any

from remit.identity import SpiffeId


@dataclass(frozen=True, slots=True)
class Task:
    """One task. Times are Unix seconds. `token_sha256` is the hex SHA-256 of its bearer token (never the token).

    `proof` is how the person who started it was known: `terminal`, or `uid` (weak).
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

    def live(self, now: float) -> bool:
        """Whether the task still holds at `now` (Unix seconds)."""
        return self.ended is None and self.started <= now < self.expires

    def covers(self, action: str, resource: SpiffeId, now: float) -> bool:
        """Whether the task names this action on this workload and has not ended."""
        return self.live(now) and action in self.actions and resource == self.on

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
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Task":
        return cls(**{**row, "on": SpiffeId.parse(row["on"]), "actions": tuple(row["actions"])})
