"""A trust domain whose SVIDs are written where a workload's helper would write them."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwk

from remit.identity import Authority, SpiffeId
from remit.identity.oidc import DISCOVERY_PATH, KEYS_PATH, discovery, jwks
from remit.identity.published_files import publish
from remit.identity.rotation import PACE, turn

READER, WRITER = "spiffe://example.org/agent/reader", "spiffe://example.org/agent/writer"


def pem(ders: Iterable[bytes]) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)


@dataclass
class Domain:
    """`example.org`, with an authority of its own: two of them have the same name and different keys."""

    authority: Authority = field(default_factory=lambda: Authority.create("example.org", time.time()))
    issuer: str = ""

    @property
    def bundle_pem(self) -> bytes:
        return pem(self.authority.bundle().x509_authorities)

    @property
    def jwt_key_pems(self) -> list[str]:
        keys = [
            jwk.ECKey.import_key({n: k[n] for n in ("kty", "crv", "x", "y")})
            for k in self.authority.bundle().jwt_keys
        ]
        return [key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in keys]

    def write_x509(
        self, directory: Path, spiffe_id: str = READER, *, issued: float = 0.0, ttl: float = 3600.0
    ) -> None:
        """`svid.pem`: chain and key, issued `issued` seconds from now."""
        svid = self.authority.issue_x509(SpiffeId.parse(spiffe_id), time.time() + issued, ttl)
        assert svid.key is not None
        path = directory / "svid.pem"
        path.touch(0o600)
        path.write_bytes(pem(svid.chain) + svid.key.reveal_pem())

    def write_jwt(
        self, directory: Path, spiffe_id: str = READER, audience: str = "openbao", issued: float = 0.0
    ) -> None:
        """`svid.jwt`, issued `issued` seconds from now and good for 300."""
        svid = self.authority.issue_jwt(
            SpiffeId.parse(spiffe_id), (audience,), time.time() + issued, issuer=self.issuer
        )
        (directory / "svid.jwt").write_text(svid.token.reveal())

    def publish(self, directory: Path) -> None:
        """What `remit oidc publish` writes."""
        documents = {KEYS_PATH: jwks(self.authority.bundle()), DISCOVERY_PATH: discovery(self.issuer)}
        publish(directory, {name: json.dumps(document).encode() for name, document in documents.items()})

    def rotate(self) -> None:
        """New keys sign, without the two hours in between."""
        for later, asked in ((0.0, True), (PACE.published, False)):
            done = turn(self.authority, time.time() + later, asked=asked)
            assert done is not None
            self.authority = done[1]
