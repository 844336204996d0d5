"""An outside SPIRE as the source of identity: Remit is a client of its Workload API, and issues nothing itself."""

import asyncio
import contextlib
import functools
import hashlib
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from remit.control.book import Acts
from remit.control.identity_source import Changed, NotOursError, nobody
from remit.control.realm import Trust
from remit.errors import IdentityError
from remit.identity import Authority, Bundle, Identities, Issuances
from remit.identity.grpc_client import NoAnswerError, NotPermittedError
from remit.identity.workload_api_client import WorkloadApiClient
from remit.identity.workload_api_replies import GivenSvid
from remit.policy.link import Svid

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 5.0  # how late it may be noticed that the SVID has ended

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class First:
    """What SPIRE gives at the start: an SVID, and the X.509 authorities (DER) and token keys (JWKs) of its domain."""

    svid: GivenSvid
    x509: tuple[bytes, ...]
    jwt: tuple[dict[str, Any], ...]


class OutsideSpire:
    """What SPIRE gave last, in force until the SVID ends; each change is recorded before that."""

    def __init__(self, path: Path, client: WorkloadApiClient, first: First, clock: Callable[[], float]) -> None:
        self._path, self._client, self._clock = path, client, clock
        self._svid, self._x509, self._jwt = first.svid, first.x509, first.jwt
        self.changed: Changed = nobody
        self._acts: Acts
        self._one_change = asyncio.Lock()
        self._lost: dict[str, float] = {}
        self._over = False

    @property
    def trust_domain(self) -> str:
        return self._svid.spiffe_id.trust_domain

    def record(self, acts: Acts) -> None:
        """Where changes are recorded from now on."""
        self._acts = acts

    def close(self) -> None:
        self._client.close()

    async def catch_up(self) -> None:
        """Record what was given first."""
        await self._acts("spire.svid", str(self._svid.spiffe_id), None, _svid_facts(self._svid))
        await self._acts("spire.bundle", self._name, None, _bundle_facts(self._x509, self._jwt))

    def trust(self) -> Trust:
        """SPIRE's bundle, or nothing once its SVID has ended: what it says of keys since then isn't known."""
        if self._over:
            return Trust(self.trust_domain, (), {"keys": []})
        return Trust(self.trust_domain, self._x509, {"keys": [dict(key) for key in self._jwt]})

    def gateway_svid(self, _zone: str) -> Svid:
        """The one that SPIRE gave this process."""
        return Svid(self._svid.pem)

    def bundle(self) -> dict[str, Any]:
        return Bundle(self.trust_domain, self._x509, self._jwt).to_dict()

    def authority(self) -> Authority:
        raise self._not_ours("ask its own Workload API, or its server")

    def published(self) -> dict[str, Any]:
        raise self._not_ours("SPIRE has an OIDC discovery provider of its own")

    async def rotate(self) -> dict[str, Any]:
        raise self._not_ours("rotate there (`spire-server localauthority x509 prepare`, and so on); Remit follows")

    def _not_ours(self, hint: str) -> NotOursError:
        return NotOursError(f"remit issues nothing here: identities come from SPIRE at `{self._path}`", hint=hint)

    def described(self) -> dict[str, Any]:
        silent = min(self._lost.values(), default=None)
        return {
            "source": "spire",
            "trust_domain": self.trust_domain,
            "issues": False,
            "text": f"SPIRE at {self._path} (trust domain {self.trust_domain}), issues nothing itself",
            "socket": str(self._path),
            "spiffe_id": str(self._svid.spiffe_id),
            "expires": self._svid.expires,
            "silent_since": silent,
        }

    async def serve(
        self,
        _stack: contextlib.AsyncExitStack,
        _path: Path,
        _identities: Identities,
        _issuances: Issuances,
        _mode: int = 0o600,
    ) -> None:
        """Nothing: workloads ask SPIRE's own Workload API."""

    async def mind(self, note: Callable[[str], None]) -> None:
        """Follow the three streams, each again and again, and the SVID's end."""
        domain, client = self.trust_domain, self._client
        streams = (
            self._follow("its SVIDs", client.x509_svids, self._take_svids, note),
            self._follow("its bundle", functools.partial(client.x509_authorities, domain), self._take_x509, note),
            self._follow("its token keys", functools.partial(client.jwt_keys, domain), self._take_jwt, note),
            self._mind_end(note),
        )
        tasks = [asyncio.ensure_future(one) for one in streams]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(
        self,
        what: str,
        opened: Callable[[], AsyncGenerator[Given, None]],
        take: Callable[[Given], Awaitable[None]],
        note: Callable[[str], None],
    ) -> None:
        """Take what a stream gives, and open it anew whenever it ends: soon, then ever later, no two at one time."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            why = "it ended the connection"
            try:
                async with contextlib.aclosing(opened()) as stream:
                    async for given in stream:
                        await take(given)
                        self._found(what, note)
                        pause = FIRST_PAUSE_SECONDS
            except (NoAnswerError, NotPermittedError, IdentityError) as error:
                why = str(error)
            self._missed(what, why, note)
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 (not for a secret)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _take_svids(self, svids: tuple[GivenSvid, ...]) -> None:
        svid = svids[0]
        if svid.spiffe_id.trust_domain != self.trust_domain:
            raise IdentityError(f"it gives SVIDs of another trust domain now: `{svid.spiffe_id.trust_domain}`")
        async with self._one_change:
            if svid.chain != self._svid.chain or self._over:
                await self._acts("spire.svid", str(svid.spiffe_id), None, _svid_facts(svid))
                self._svid, self._over = svid, False
                await self.changed(True)

    async def _take_x509(self, authorities: tuple[bytes, ...]) -> None:
        async with self._one_change:
            if authorities != self._x509:
                await self._put_bundle(authorities, self._jwt)

    async def _take_jwt(self, keys: tuple[dict[str, Any], ...]) -> None:
        async with self._one_change:
            if keys != self._jwt:
                await self._put_bundle(self._x509, keys)

    async def _put_bundle(self, x509: tuple[bytes, ...], jwt: tuple[dict[str, Any], ...]) -> None:
        await self._acts("spire.bundle", self._name, None, _bundle_facts(x509, jwt))
        self._x509, self._jwt = x509, jwt
        await self.changed(False)

    def _found(self, what: str, note: Callable[[str], None]) -> None:
        if self._lost.pop(what, None) is not None and not self._lost:
            note(f"SPIRE at `{self._path}` answers again")

    def _missed(self, what: str, why: str, note: Callable[[str], None]) -> None:
        if not self._lost:
            until = time.strftime("%H:%M:%S", time.localtime(self._svid.expires))
            note(f"SPIRE does not give {what}: {why}. What it gave last stays in force until {until}")
        self._lost.setdefault(what, self._clock())

    async def _mind_end(self, note: Callable[[str], None]) -> None:
        """When the SVID ends and no other came, what SPIRE said of keys is too old to go by."""
        while True:
            async with self._one_change:
                if not self._over and self._clock() >= self._svid.expires:
                    self._over = True
                    note(f"the SVID from SPIRE at `{self._path}` has ended: nobody's is taken until it answers")
                    await self.changed(False)
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _name(self) -> str:
        return f"spiffe://{self.trust_domain}"

    def _bundle_facts(self) -> dict[str, Any]:
        """What anybody can compare: the digests of certificates, the ids of token keys."""
        return {
            "x509": [hashlib.sha256(der).hexdigest() for der in self._x509],
            "jwt": [key["kid"] for key in self._jwt],
        }


def _svid_facts(svid: GivenSvid) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(svid.chain[0]).hexdigest(), "expires": round(svid.expires, 3)}


def _bundle_facts(x509: tuple[bytes, ...], jwt: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """What anybody can compare: the digests of certificates, the ids of token keys."""
    return {"x509": [hashlib.sha256(der).hexdigest() for der in x509], "jwt": [key["kid"] for key in jwt]}
