"""A stock SPIFFE client that fetches and verifies in a loop: `python -m tests.identity.spiffe_loop SOCKET SECONDS`.

It goes on until its standard input closes. Every SVID that is not over is verified by every bundle that is not older
than SECONDS, whichever came first. Prints one JSON line: what failed, how often it looked, what keys it saw sign.
"""

import json
import selectors
import sys
import time
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from spiffe import JwtBundle, JwtSource, JwtSvid, TrustDomain, WorkloadApiClient, X509Source

from remit.identity import verify_x509

DOMAIN = TrustDomain("example.org")
PAUSE_SECONDS = 0.03

Thing = TypeVar("Thing")


def der(certificate: Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@dataclass
class Seen:
    """What was fetched, with the time (Unix seconds) until which it counts."""

    lasting: float
    x509: list[tuple[list[bytes], float]] = field(default_factory=list)
    jwt: list[tuple[str, float]] = field(default_factory=list)
    roots: list[tuple[list[bytes], float]] = field(default_factory=list)
    keys: list[tuple[JwtBundle, float]] = field(default_factory=list)
    signers: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    looks: int = 0

    def fetch(self, client: WorkloadApiClient, x509: X509Source, jwt: JwtSource) -> None:
        """Both by asking once more, and from the sources that the open streams keep fresh."""
        asked = time.time()
        for svid in (client.fetch_x509_svid(), x509.svid):
            self.x509.append(([der(one) for one in svid.cert_chain], svid.leaf.not_valid_after_utc.timestamp()))
            self.signers.add(svid.leaf.issuer.rfc4514_string())
        for token in (client.fetch_jwt_svid({"gateway"}), jwt.fetch_svid({"gateway"})):
            self.jwt.append((token.token, token.expiry))
        for bundle in (
            client.fetch_x509_bundles().get_bundle_for_trust_domain(DOMAIN),
            x509.get_bundle_for_trust_domain(DOMAIN),
        ):
            assert bundle is not None
            self.roots.append(([der(one) for one in bundle.x509_authorities], asked + self.lasting))
        for keys in (
            client.fetch_jwt_bundles().get_bundle_for_trust_domain(DOMAIN),
            jwt.get_bundle_for_trust_domain(DOMAIN),
        ):
            assert keys is not None
            self.keys.append((keys, asked + self.lasting))

    def verify(self) -> None:
        now = time.time()
        self.x509, self.jwt = current(self.x509, now), current(self.jwt, now)
        self.roots, self.keys = current(self.roots, now), current(self.keys, now)
        for chain, _ in self.x509:
            for roots, _ in self.roots:
                verify_x509(chain, roots, now, trust_domain="example.org")
        for token, _ in self.jwt[-8:]:
            for keys, _ in self.keys:
                JwtSvid.parse_and_validate(token, keys, {"gateway"})

    def look(self, client: WorkloadApiClient, x509: X509Source, jwt: JwtSource) -> None:
        try:
            self.fetch(client, x509, jwt)
            self.verify()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what must not happen
            self.failures.append(repr(error))
        self.looks += 1


def current(pile: list[tuple[Thing, float]], now: float) -> list[tuple[Thing, float]]:
    """What ends while it is verified proves nothing."""
    return [one for one in pile if one[1] > now + 0.2]


def main(path: str, lasting: float) -> None:
    seen, socket = Seen(lasting), f"unix:{path}"
    pushed: list[float] = []
    until_told = selectors.DefaultSelector()
    until_told.register(sys.stdin, selectors.EVENT_READ)
    with (
        WorkloadApiClient(socket, default_timeout=20) as client,
        X509Source(socket_path=socket, timeout_in_seconds=20) as x509,
        JwtSource(socket_path=socket, timeout_in_seconds=20) as jwt,
    ):
        x509.subscribe_for_updates(lambda: pushed.append(time.time()))
        print("looking", flush=True)
        while not until_told.select(PAUSE_SECONDS):
            seen.look(client, x509, jwt)
    print(
        json.dumps(
            {
                "failures": seen.failures[:5],
                "looks": seen.looks,
                "signers": len(seen.signers),
                "pushed": len(pushed),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
