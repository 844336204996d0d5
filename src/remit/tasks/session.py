"""A person's session: what they hold while they delegate. Everything cut from it ends with it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Session:
    """One session. Times are Unix seconds. `token_sha256` is the hex SHA-256 of its token (never the token).

    `proof` is how the person was known, as a task's. `login` is the OIDC issuer that vouched for them too, or empty.
    """

    id: str
    human: str
    started: float
    expires: float
    token_sha256: str
    proof: str
    login: str = ""
    ended: float | None = None

    def live(self, now: float) -> bool:
        """Whether it still holds at `now` (Unix seconds)."""
        return self.ended is None and self.started <= now < self.expires

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "human": self.human,
            "started": self.started,
            "expires": self.expires,
            "token_sha256": self.token_sha256,
            "proof": self.proof,
            "login": self.login,
            "ended": self.ended,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Session":
        return cls(**row)
