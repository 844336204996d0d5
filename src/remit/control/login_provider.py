"""The OpenID provider as control sees it: the keys it fetched itself, and what they say of a token."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.config import LoginSettings
from remit.errors import UnknownKeyError
from remit.identity import oidc_http
from remit.identity.jws import strict_json
from remit.identity.oidc_login import Login, verify_id_token
from remit.identity.oidc_provider import OpenIdProvider, discovery_url

KEYS_LIFE: Final = 300.0  # seconds: so long a key that the provider took back is still good here
REFETCH: Final = 60.0  # seconds between two fetches for a key that is unknown: anyone can name one


@dataclass(frozen=True, slots=True)
class _Held:
    """A key set, and when it was fetched (Unix seconds)."""

    jwks: Mapping[str, Any]
    fetched: float

    def good(self, now: float, life: float) -> bool:
        return self.fetched <= now < self.fetched + life


class LoginProvider:
    """The configured provider; one a control process."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._held: _Held | None = None
        self._fetching = asyncio.Lock()

    async def login_of(self, id_token: str, nonce: str, now: float) -> Login:
        """Who logged in, by `id_token` (`identity.oidc_login`); raises IdentityError.

        `nonce` has been spent for this (`Nonces.spend`). The keys are fetched off the event loop, when there are none
        or they are old; and, at most once a minute, when one is unknown.
        """
        try:
            return self._verify(id_token, await self._keys(now, KEYS_LIFE), nonce, now)
        except UnknownKeyError:
            return self._verify(id_token, await self._keys(now, REFETCH), nonce, now)

    def _verify(self, id_token: str, jwks: Mapping[str, Any], nonce: str, now: float) -> Login:
        issuer, client = self._settings.issuer, self._settings.client_id
        return verify_id_token(id_token, jwks, issuer=issuer, client_id=client, nonce=nonce, now=now)

    async def _keys(self, now: float, life: float) -> Mapping[str, Any]:
        """The provider's keys, not older than `life`; one fetch at a time, as many logins may want them at once."""
        async with self._fetching:
            if self._held is None or not self._held.good(now, life):
                self._held = _Held(await asyncio.to_thread(_fetch, self._settings.issuer), now)
            return self._held.jwks


def _fetch(issuer: str) -> Mapping[str, Any]:
    provider = OpenIdProvider.parse(oidc_http.get(discovery_url(issuer)), issuer)
    return strict_json(oidc_http.get(provider.jwks_uri), "the provider's key set")
