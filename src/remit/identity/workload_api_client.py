"""A client of an outside SPIFFE Workload API, such as a SPIRE agent's: our SVID, and the bundles to verify by."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from remit.identity.grpc_client import UnixClient
from remit.identity.jwt_svid import Jwks, JwtSvid
from remit.identity.spiffe_proto import message_type
from remit.identity.workload_api_replies import (
    GivenSvid,
    given_authorities,
    given_jwt_keys,
    given_jwt_svids,
    given_svids,
)
from remit.secret import Secret

_SECURITY_HEADER: Final = ("workload.spiffe.io", "true")  # SPIFFE Workload Endpoint 6.1

Given = TypeVar("Given")


class WorkloadApiClient:
    """Speaks to the Workload API at `path`. `clock` gives Unix seconds.

    The streams give what is in force now, then each change. They raise NoAnswerError or NotPermittedError, or
    IdentityError for an answer that isn't right; none waits a limited time: that is the caller's.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._client, self._clock = UnixClient(path, "SpiffeWorkloadAPI", _SECURITY_HEADER), clock

    def close(self) -> None:
        """End the connection and every stream."""
        self._client.close()

    def x509_svids(self) -> AsyncGenerator[tuple[GivenSvid, ...], None]:
        """This process's X.509-SVIDs, the default one first, each verified against its bundle."""
        return self._stream("X509SVID", lambda reply: given_svids(reply, self._clock()))

    def x509_authorities(self, trust_domain: str) -> AsyncGenerator[tuple[bytes, ...], None]:
        """The authorities of the trust domain's bundle: DER certificates."""
        return self._stream("X509Bundles", lambda reply: given_authorities(reply, trust_domain))

    def jwt_keys(self, trust_domain: str) -> AsyncGenerator[tuple[dict[str, Any], ...], None]:
        """The JWT-SVID keys of the trust domain's bundle: JWKs."""
        return self._stream("JWTBundles", lambda reply: given_jwt_keys(reply, trust_domain))

    async def jwt_svid(self, audience: tuple[str, ...], keys: Jwks, trust_domain: str) -> JwtSvid:
        """A JWT-SVID of this process (its default one) for `audience`, verified by `keys`."""
        request, now = message_type("JWTSVIDRequest")(audience=audience), self._clock()
        reply = await self._client.call("FetchJWTSVID", request, "JWTSVIDResponse")
        claims = given_jwt_svids(reply, keys, trust_domain, audience, self._clock())[0]
        return JwtSvid(claims.spiffe_id, claims.audience, Secret(reply.svids[0].svid), now, claims.expires, claims.id)

    async def _stream(self, what: str, parse: Callable[[Any], Given]) -> AsyncGenerator[Given, None]:
        request = message_type(f"{what}Request")()
        async with contextlib.aclosing(self._client.stream(f"Fetch{what}", request, f"{what}Response")) as replies:
            async for reply in replies:
                yield parse(reply)
