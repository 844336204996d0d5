"""Links to the page where one passkey can be added: each serves once, for a while, for one account."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from remit.errors import NotFoundError
from remit.inventory import Human
from remit.persons import Kind

LINK_SECONDS: Final = 300.0
MAX_LINKS: Final = 8  # of one account; its oldest gives way
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Link:
    """Leave to add one passkey, for one person's one account, until `expires` (seconds of a steady clock).

    `proof` is how they were known who asked for it: the passkey proves no more than that.
    """

    human: Human
    uid: int
    label: str
    proof: Kind
    expires: float


@dataclass(slots=True)
class Links:
    """Those that were made, by the SHA-256 of what they end with. `steady` is monotonic seconds."""

    steady: Callable[[], float]
    _live: dict[str, Link] = field(default_factory=dict)  # oldest first

    def make(self, human: Human, uid: int, label: str, proof: Kind) -> str:
        """The path of one more."""
        now = self.steady()
        self._live = {key: one for key, one in self._live.items() if one.expires > now}
        own = self.of_account(uid)
        for key in own[: max(0, len(own) - MAX_LINKS + 1)]:
            del self._live[key]
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._live[known_as(token)] = Link(human, uid, label, proof, now + LINK_SECONDS)
        return f"/passkey/{token}"

    def of(self, token: str) -> Link:
        """What a link leads to; raises NotFoundError for one that was used, is too old or never was."""
        link = self._live.get(known_as(token))
        if link is None or link.expires <= self.steady():
            raise NotFoundError("this link was used, or is too old", hint="`remit passkey add` makes another")
        return link

    def spend(self, token: str) -> None:
        """It serves no more."""
        self._live.pop(known_as(token), None)

    def of_account(self, uid: int) -> list[str]:
        """An account's that still serve, by what they are called."""
        return [key for key, one in self._live.items() if one.uid == uid and one.expires > self.steady()]


def known_as(path: str) -> str:
    """What a link is called by, in lists: nobody can follow it by that."""
    return hashlib.sha256(path.rpartition("/")[2].encode()).hexdigest()
