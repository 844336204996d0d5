"""Nonces for logins: each is good for one login of the uid that asked for it, and not for long."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from remit.errors import IdentityError

LIFE: Final = 600.0  # seconds: a login may take five minutes, and the provider's clock may be off
MAX_OF_ONE_UID: Final = 8  # logins begun and not ended; the oldest gives way
MAX_OF_ALL: Final = 1_024
NONCE_BYTES: Final = 24


@dataclass(slots=True)
class Nonces:
    """Those that were handed out and not spent. Lost when control ends: a login under way then starts anew."""

    _live: dict[str, tuple[int, float]] = field(default_factory=dict, repr=False)  # oldest first

    def issue(self, uid: int, now: float) -> str:
        """A fresh nonce for a login of `uid`, whose oldest gives way where it has too many (`now`: Unix seconds)."""
        self._forget(now)
        own = [nonce for nonce, (whose, _) in self._live.items() if whose == uid]
        if len(own) >= MAX_OF_ONE_UID:
            del self._live[own[0]]
        if len(self._live) >= MAX_OF_ALL:
            raise IdentityError("too many logins are under way", hint="try again in a few minutes")
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        self._live[nonce] = (uid, now)
        return nonce

    def spend(self, nonce: str, uid: int, now: float) -> None:
        """Take `nonce`, whatever becomes of the login; raises IdentityError unless `uid` got it and it is unspent."""
        self._forget(now)
        if self._live.get(nonce, (None,))[0] != uid:
            raise IdentityError(
                "this login was not begun here, was ended already, or took too long", hint="run `remit login` again"
            )
        del self._live[nonce]

    def _forget(self, now: float) -> None:
        """A clock that was set back ends them, too: nobody can say how old they are."""
        for nonce, (_, issued) in list(self._live.items()):
            if not issued <= now < issued + LIFE:
                del self._live[nonce]
