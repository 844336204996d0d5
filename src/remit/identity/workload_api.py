"""The SPIFFE Workload API on a unix socket: workloads fetch their SVIDs and bundles here."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from grpclib import GRPCError, Status

from remit.errors import IdentityError, RemitError, StateError
from remit.identity.authority import MAX_JWT_TTL, MAX_X509_TTL, Authority
from remit.identity.certificate import BACKDATE
from remit.identity.grpc_server import Method, Request, UnixServer
from remit.identity.jwt_svid import verify_jwt
from remit.identity.latest import Latest
from remit.identity.peer import PeerCredentials
from remit.identity.spiffe_id import SpiffeId
from remit.identity.spiffe_proto import message_type
from remit.identity.unix_socket import ListeningSocket

RECHECK_SECONDS: Final = 30.0  # how often an open stream's caller is looked at again
_SECURITY_HEADER: Final = ("workload.spiffe.io", "true")  # SPIFFE Workload Endpoint 6.1

_Reply = TypeVar("_Reply")

_NO_IDENTITY: Final = "no identity issued"  # as go-spiffe and SPIRE say it


class Identities(Protocol):
    """Who a caller is; empty means that it has no identity."""

    async def identities(self, peer: PeerCredentials) -> Sequence[SpiffeId]: ...


class Issuances(Protocol):
    """Where each SVID is written down. `what` is `x509-svid` or `jwt-svid`; `expires` is Unix seconds.

    It returns when the record is durable, and raises a RemitError when it can't be: then nothing is sent.
    """

    async def issued(self, what: str, spiffe_id: SpiffeId, peer: PeerCredentials, expires: float) -> None: ...


class WorkloadApi:
    """Serves `authority` to local callers. `clock` gives Unix seconds; the TTLs are seconds; `issuer` is JWT-SVIDs'.

    A stream stays open: it gets new SVIDs at half of their life, when the caller's identities change (looked at
    every `recheck` seconds) and when `replace` brings a new authority; it ends when the caller has no identity left.
    """

    def __init__(
        self,
        authority: Authority,
        identities: Identities,
        issuances: Issuances,
        clock: Callable[[], float],
        *,
        x509_ttl: float = MAX_X509_TTL,
        jwt_ttl: float = MAX_JWT_TTL,
        recheck: float = RECHECK_SECONDS,
        issuer: str = "",
    ) -> None:
        self._authority, self._identities, self._issuances, self._clock = authority, identities, issuances, clock
        self._x509_ttl, self._jwt_ttl, self._recheck, self._issuer = x509_ttl, jwt_ttl, recheck, issuer
        self._latest = Latest(clock)
        self._changed = asyncio.Event()
        self._server: UnixServer | None = None
        self._listening: ListeningSocket | None = None

    async def serve(self, path: Path, mode: int = 0o600) -> None:
        """Listen at `path`, with this file mode; raises StateError when the path is too long or taken."""
        if self._listening is not None:
            raise StateError(f"the Workload API already listens at `{self._listening.path}`")
        self._listening = ListeningSocket.bind(path, mode)
        self._server = UnixServer("SpiffeWorkloadAPI", self._methods(), _SECURITY_HEADER)
        await self._server.listen(self._listening.socket)

    async def close(self) -> None:
        """End all streams and remove the socket; does nothing when it is not serving."""
        server, listening = self._server, self._listening
        self._server = self._listening = None
        if server is not None:
            await server.stop()
        if listening is not None:
            listening.remove()

    def replace(self, authority: Authority) -> None:
        """Issue from `authority` from now on, and tell every open stream."""
        self._authority = authority
        self._changed.set()
        self._changed = asyncio.Event()

    def _methods(self) -> tuple[Method, ...]:
        return (
            Method("FetchX509SVID", "X509SVIDRequest", "X509SVIDResponse", True, self._fetch_x509_svid),
            Method("FetchX509Bundles", "X509BundlesRequest", "X509BundlesResponse", True, self._fetch_x509_bundles),
            Method("FetchJWTSVID", "JWTSVIDRequest", "JWTSVIDResponse", False, self._fetch_jwt_svid),
            Method("FetchJWTBundles", "JWTBundlesRequest", "JWTBundlesResponse", True, self._fetch_jwt_bundles),
            Method(
                "ValidateJWTSVID", "ValidateJWTSVIDRequest", "ValidateJWTSVIDResponse", False, self._validate_jwt_svid
            ),
        )

    async def _fetch_x509_svid(self, request: Request) -> None:
        while True:
            changed, ids = self._changed, await self._identified(request.peer)
            reply, renew = await _refusing(self._x509_reply(ids, request.peer, self._clock()))
            await request.send(reply)
            await self._until_news(request.peer, ids, changed, renew)

    async def _x509_reply(self, ids: Sequence[SpiffeId], peer: PeerCredentials, now: float) -> tuple[Any, float]:
        """The reply, and when half of its shortest life is over: near the authority's end SVIDs get shorter."""
        authority = self._authority
        bundle = b"".join(authority.bundle().x509_authorities)
        reply, renew = message_type("X509SVIDResponse")(), math.inf
        for spiffe_id in ids:
            svid = authority.issue_x509(spiffe_id, now, self._x509_ttl)
            await self._issuances.issued("x509-svid", spiffe_id, peer, svid.expires)
            renew = min(renew, (now + svid.expires) / 2)
            assert svid.key is not None  # noqa: S101 - the authority made one, as it was given none
            reply.svids.add(
                spiffe_id=str(spiffe_id),
                x509_svid=b"".join(svid.chain),
                x509_svid_key=svid.key.reveal_der(),
                bundle=bundle,
            )
        return reply, renew

    async def _fetch_x509_bundles(self, request: Request) -> None:
        def reply() -> Any:
            bundle = self._authority.bundle()
            content = b"".join(bundle.x509_authorities)
            return message_type("X509BundlesResponse")(bundles={_name(bundle.trust_domain): content})

        await self._stream_bundles(request, reply)

    async def _fetch_jwt_bundles(self, request: Request) -> None:
        def reply() -> Any:
            bundle = self._authority.bundle()
            content = json.dumps(bundle.jwks()).encode()
            return message_type("JWTBundlesResponse")(bundles={_name(bundle.trust_domain): content})

        await self._stream_bundles(request, reply)

    async def _stream_bundles(self, request: Request, reply: Callable[[], Any]) -> None:
        while True:
            changed, ids = self._changed, await self._identified(request.peer)
            await request.send(reply())
            await self._until_news(request.peer, ids, changed, None)

    async def _fetch_jwt_svid(self, request: Request) -> None:
        audience, wanted = tuple(request.message.audience), request.message.spiffe_id
        if not audience:
            raise GRPCError(Status.INVALID_ARGUMENT, "audience must be specified")
        ids = await self._identified(request.peer)
        chosen = [spiffe_id for spiffe_id in ids if not wanted or str(spiffe_id) == wanted]
        if not chosen:
            raise GRPCError(Status.PERMISSION_DENIED, _NO_IDENTITY)
        await request.send(await _refusing(self._jwt_reply(chosen, audience, request.peer), Status.INVALID_ARGUMENT))

    async def _jwt_reply(self, ids: Sequence[SpiffeId], audience: tuple[str, ...], peer: PeerCredentials) -> Any:
        reply = message_type("JWTSVIDResponse")()
        for spiffe_id in ids:
            svid = self._authority.issue_jwt(spiffe_id, audience, self._clock(), self._jwt_ttl, self._issuer)
            await self._issuances.issued("jwt-svid", spiffe_id, peer, svid.expires)
            reply.svids.add(spiffe_id=str(spiffe_id), svid=svid.token.reveal())
        return reply

    async def _validate_jwt_svid(self, request: Request) -> None:
        message = request.message
        if not message.audience or not message.svid:
            raise GRPCError(Status.INVALID_ARGUMENT, "audience and svid must be specified")
        await self._identified(request.peer)
        bundle, now = self._authority.bundle(), self._latest()
        try:
            proven = verify_jwt(message.svid, bundle.jwks(), message.audience, now, trust_domain=bundle.trust_domain)
        except IdentityError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from error
        reply = message_type("ValidateJWTSVIDResponse")(spiffe_id=str(proven.spiffe_id))
        reply.claims.update(
            {"sub": str(proven.spiffe_id), "aud": list(proven.audience), "exp": proven.expires, "jti": proven.id}
        )
        await request.send(reply)

    async def _identified(self, peer: PeerCredentials) -> tuple[SpiffeId, ...]:
        self._latest()
        try:
            ids = tuple(await self._identities.identities(peer))
        except IdentityError:  # AttestationError too: the reason is for the operator's log, not for the caller
            ids = ()
        except RemitError as error:
            raise GRPCError(Status.UNAVAILABLE, "the caller can't be identified now") from error
        if not ids:
            raise GRPCError(Status.PERMISSION_DENIED, _NO_IDENTITY)
        return ids

    async def _until_news(
        self, peer: PeerCredentials, ids: tuple[SpiffeId, ...], changed: asyncio.Event, deadline: float | None
    ) -> None:
        """Wait until there is something new to send. The clock is read again at each look, as machines sleep.

        There is, too, when the clock was set back to before what was sent is valid.
        """
        valid_from = self._clock() - BACKDATE
        while deadline is None or valid_from <= self._clock() < deadline:
            wait = self._recheck if deadline is None else min(self._recheck, deadline - self._clock())
            try:
                await asyncio.wait_for(changed.wait(), max(wait, 0.0))
            except TimeoutError:
                if await self._identified(peer) != ids:
                    return
            else:
                return


async def _refusing(reply: Awaitable[_Reply], malformed: Status = Status.UNAVAILABLE) -> _Reply:
    """The reply, or a refusal: an SVID that can't be made or written down is not sent.

    `malformed` is whose fault an IdentityError is: the caller's, where it chose what the SVID says.
    """
    try:
        return await reply
    except IdentityError as error:
        raise GRPCError(malformed, str(error)) from error
    except RemitError as error:
        raise GRPCError(Status.UNAVAILABLE, "no SVID can be issued or recorded now") from error


def _name(trust_domain: str) -> str:
    return str(SpiffeId.of(trust_domain))
