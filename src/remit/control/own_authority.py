"""Our own authority as the source of identity: Remit signs what the trust domain's workloads and gateways hold."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from remit.control.identity_source import Changed, nobody
from remit.control.kept_authority import KeptAuthority
from remit.control.realm import Trust
from remit.identity import Authority, Identities, Issuances, SpiffeId, WorkloadApi, X509Svid
from remit.policy.link import Svid
from remit.secret import Secret


class OwnAuthority:
    """Issues from `kept`, and serves the Workload API. JWT-SVIDs name `issuer`, unless that is empty.

    Access tokens name it too, or else `here`, the token endpoint's own address.
    """

    def __init__(self, kept: KeptAuthority, issuer: str = "", here: str = "") -> None:
        self._kept, self._issuer, self._here = kept, issuer, here
        self.changed: Changed = nobody
        self._api: WorkloadApi | None = None
        kept.changed = self._turned

    @property
    def trust_domain(self) -> str:
        return self._kept.authority.trust_domain

    def authority(self) -> Authority:
        return self._kept.authority

    async def catch_up(self) -> None:
        await self._kept.catch_up()

    def trust(self) -> Trust:
        return replace(self._kept.trust(), issuer=self._issuer or self._here)

    def gateway_svid(self, zone: str) -> Svid:
        """A fresh one each time."""
        authority = self._kept.authority
        svid = authority.issue_x509(SpiffeId.of(authority.trust_domain, "remit", "gateway", zone), time.time())
        return Svid(Secret(pem_of(svid)))

    def bundle(self) -> dict[str, Any]:
        return self._kept.bundle()

    def published(self) -> dict[str, Any]:
        return self._kept.published()

    async def rotate(self) -> dict[str, Any]:
        return await self._kept.rotate()

    def described(self) -> dict[str, Any]:
        known = {"source": "own", "issues": True, "text": "own authority", "trust_domain": self.trust_domain}
        return {**known, "keys": self._kept.standing()}

    async def serve(
        self,
        stack: contextlib.AsyncExitStack,
        path: Path,
        identities: Identities,
        issuances: Issuances,
        mode: int = 0o600,
    ) -> None:
        api = WorkloadApi(self._kept.authority, identities, issuances, time.time, issuer=self._issuer)
        await api.serve(path, mode)
        stack.push_async_callback(api.close)
        self._api = api

    async def mind(self, note: Callable[[str], None]) -> None:
        await self._kept.mind(note)

    async def _turned(self, authority: Authority, signs: bool) -> None:
        """Gateways first: they know a key before anybody is handed what it signs."""
        await self.changed(signs)
        if self._api is not None:
            self._api.replace(authority)


def pem_of(svid: X509Svid) -> str:
    """Chain and key as OpenSSL takes them."""
    chain = "".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain)
    return chain + (svid.key.reveal_pem().decode() if svid.key is not None else "")
