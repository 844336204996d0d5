"""An outside Workload API that answers as it is told: as SPIRE would, or as nothing sound would."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from grpclib import GRPCError, Status

from remit.identity import Authority, SpiffeId, X509Svid
from remit.identity.grpc_server import Method, Request, UnixServer
from remit.identity.spiffe_proto import message_type
from remit.identity.unix_socket import ListeningSocket

HEADER = ("workload.spiffe.io", "true")
KINDS = ("X509SVID", "X509Bundles", "JWTBundles")


class FakeWorkloadApi:
    """Each stream sends what `answers` has for it, again at each `push`. With `status` set it refuses every call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pushed = asyncio.Condition()
        self.answers: dict[str, Any] = {}
        self.status: Status | None = None
        self.calls = 0
        self._pushes = 0
        self._server: UnixServer
        self._listening: ListeningSocket

    async def start(self) -> None:
        streams = [Method(f"Fetch{kind}", f"{kind}Request", f"{kind}Response", True, self._stream) for kind in KINDS]
        once = Method("FetchJWTSVID", "JWTSVIDRequest", "JWTSVIDResponse", False, self._once)
        self._server = UnixServer("SpiffeWorkloadAPI", (*streams, once), HEADER)
        self._listening = ListeningSocket.bind(self._path)
        await self._server.listen(self._listening.socket)

    async def stop(self) -> None:
        await self._server.stop()
        self._listening.remove()

    async def push(self) -> None:
        async with self._pushed:
            self._pushes += 1
            self._pushed.notify_all()

    async def _stream(self, request: Request) -> None:
        kind = type(request.message).__name__.removesuffix("Request")
        while True:
            pushes = self._pushes
            await self._once(request, kind)
            async with self._pushed:
                await self._pushed.wait_for(lambda: self._pushes > pushes)  # noqa: B023 (waited for here)

    async def _once(self, request: Request, kind: str = "JWTSVID") -> None:
        self.calls += 1
        if self.status is not None:
            raise GRPCError(self.status, "no identity issued")
        await request.send(self.answers[kind])

    def speak_for(self, authority: Authority, name: str, now: float) -> X509Svid:
        """Answer as SPIRE would for a process that is `name`: token keys are without `use`."""
        svid = authority.issue_x509(SpiffeId.of(authority.trust_domain, *name.split("/")), now)
        domain, bundle = str(SpiffeId.of(authority.trust_domain)), authority.bundle()
        keys = [{member: key[member] for member in key if member not in {"use", "alg"}} for key in bundle.jwt_keys]
        content = b"".join(bundle.x509_authorities)
        self.answers["X509SVID"] = svids_reply(row_of(svid, bundle.x509_authorities))
        self.answers["X509Bundles"] = message_type("X509BundlesResponse")(bundles={domain: content})
        jwks = json.dumps({"keys": keys}, indent=4).encode()
        self.answers["JWTBundles"] = message_type("JWTBundlesResponse")(bundles={domain: jwks})
        return svid


def row_of(svid: X509Svid, bundle: Sequence[bytes]) -> dict[str, Any]:
    """The fields of one X509SVID message."""
    assert svid.key is not None
    return {
        "spiffe_id": str(svid.spiffe_id),
        "x509_svid": b"".join(svid.chain),
        "x509_svid_key": svid.key.reveal_der(),
        "bundle": b"".join(bundle),
    }


def svids_reply(*rows: dict[str, Any]) -> Any:
    reply = message_type("X509SVIDResponse")()
    for row in rows:
        reply.svids.add(**row)
    return reply


def key_der(key: Any) -> bytes:
    """A private key as the Workload API hands it out."""
    form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    content: bytes = key.private_bytes(*form)
    return content
