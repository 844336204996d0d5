"""What a trust domain's authority signs with: a certificate and its key, a token key, what is left of old ones."""

import base64
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jwk

from remit.errors import IdentityError
from remit.identity.bundle import public_jwk
from remit.identity.certificate import authority_certificate
from remit.identity.jws import VerifyingKey
from remit.identity.jwt_svid import JWT_USE
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId


@dataclass(frozen=True, slots=True)
class X509Authority:
    """One signing certificate and its key.

    Under an outside CA, `chain` (DER) leads from the certificate's issuer towards `roots` (DER), which verifiers
    trust in its place; both are empty for a certificate that signed itself.
    """

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[bytes, ...] = ()
    roots: tuple[bytes, ...] = ()

    @classmethod
    def create(cls, trust_domain: str, now: float, life: float) -> "X509Authority":
        key = PrivateKey.generate()
        return cls(authority_certificate(SpiffeId.of(trust_domain), key, now, life), key)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def starts(self) -> float:
        return self.certificate.not_valid_before_utc.timestamp()

    @property
    def expires(self) -> float:
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """What verifiers trust: DER certificates."""
        return self.roots or (self.der,)

    @property
    def path(self) -> tuple[bytes, ...]:
        """What an SVID must bring along so that verifiers get from it to one of `anchors`."""
        return (self.der, *self.chain) if self.roots else ()

    def to_row(self) -> dict[str, str]:
        """What the key file keeps of one that signed itself."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return {"certificate": pem, "key": self.key.reveal_pem().decode()}

    @classmethod
    def from_row(cls, row: dict[str, str], trust_domain: str) -> "X509Authority":
        certificate = x509.load_pem_x509_certificate(row["certificate"].encode())
        key = PrivateKey.from_pem(row["key"].encode())
        if certificate.public_key() != key.public:
            raise IdentityError("a certificate is not of its key")
        _check_name(certificate, trust_domain)
        return cls(certificate, key)


@dataclass(frozen=True, slots=True)
class JwtAuthority:
    """One ES256 signing key. `kid` is its RFC 7638 thumbprint."""

    kid: str
    key: PrivateKey
    signer: jwk.ECKey

    @classmethod
    def of(cls, key: PrivateKey) -> "JwtAuthority":
        signer = jwk.ECKey.import_key(key.reveal())
        return cls(signer.thumbprint(), key, signer)

    def to_jwk(self) -> dict[str, Any]:
        return {"use": JWT_USE, "kid": self.kid, "alg": "ES256", **public_jwk(self.key.public)}

    def __repr__(self) -> str:
        return f"JwtAuthority(kid={self.kid!r})"


@dataclass(frozen=True, slots=True)
class Retired:
    """The public halves of keys that sign no more: what they signed is good until `until`, Unix seconds.

    `certificate` is DER. The private halves are gone: nothing brings them back into use.
    """

    certificate: bytes
    jwk: dict[str, Any]
    until: float

    def to_row(self) -> dict[str, Any]:
        return {"certificate": base64.b64encode(self.certificate).decode(), "jwk": self.jwk, "until": self.until}

    @classmethod
    def from_row(cls, row: dict[str, Any], trust_domain: str) -> "Retired":
        der, until = base64.b64decode(row["certificate"], validate=True), row["until"]
        _check_name(x509.load_der_x509_certificate(der), trust_domain)
        VerifyingKey.parse(row["jwk"])
        if isinstance(until, bool) or not isinstance(until, int | float):
            raise IdentityError("a retired key has no end")
        return cls(der, row["jwk"], float(until))


def _check_name(certificate: x509.Certificate, trust_domain: str) -> None:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [str(SpiffeId.of(trust_domain))]:
        raise IdentityError("a certificate is not of its trust domain")
