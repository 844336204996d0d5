"""Browsers in which a person used a passkey a while ago: there, for at most 15 minutes, one click proves an act."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from remit.control.clients import Client
from remit.persons.sessions import SECONDS, Held, ProofSessions

COOKIE: Final = "remit-browser"
PATH: Final = "/proof"
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser of one account: the process that connects, and the cookie it was given. `since` counts the times
    that all of this account's were ended."""

    uid: int
    process: tuple[int, int]
    cookie_sha256: bytes
    since: int


@dataclass(slots=True)
class Browsers:
    """Those with a session. A cookie alone is no use: browsers send it to every port of `localhost`.

    `steady` is monotonic seconds.
    """

    steady: Callable[[], float]
    _open: ProofSessions = field(default_factory=ProofSessions)
    _ended: dict[int, int] = field(default_factory=dict)

    def begin(self, client: Client, evidence: str) -> str:
        """From a passkey that was just used there: the cookie's value. Empty where no process is known to hold it."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        browser = self._of(client, token)
        if browser is None:
            return ""
        self._open.begin(browser, evidence, self.steady())
        return token

    def held(self, client: Client, token: str) -> Held | None:
        """What holds in the browser that shows this cookie over this connection."""
        browser = self._of(client, token)
        return None if browser is None else self._open.held(browser, self.steady())

    def end_all(self, uid: int) -> None:
        """Those of this account, in all its browsers."""
        self._ended[uid] = self._ended.get(uid, 0) + 1

    def _of(self, client: Client, token: str) -> Browser | None:
        if client.process is None or not token:
            return None
        digest = hashlib.sha256(token.encode()).digest()
        return Browser(client.uid, client.process, digest, self._ended.get(client.uid, 0))


def cookie_of(token: str) -> str:
    """The `Set-Cookie` header: not for scripts, nor sent for another site's page, gone in 15 minutes."""
    return f"{COOKIE}={token}; Path={PATH}; Max-Age={SECONDS:.0f}; HttpOnly; SameSite=Strict"
