"""A trust domain's authority: it signs the X.509- and JWT-SVIDs of one trust domain."""

import binascii
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt

from remit.errors import IdentityError, StateError
from remit.identity.bundle import Bundle, public_jwk
from remit.identity.certificate import authority_certificate, leaf_certificate
from remit.identity.jwt_svid import JWT_USE, MAX_AUDIENCES, JwtSvid
from remit.identity.private_file import read_private, write_private
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId
from remit.identity.x509_svid import X509Svid
from remit.secret import Secret

MAX_X509_TTL: Final = 3600.0  # seconds; SPIRE's default
MAX_JWT_TTL: Final = 300.0  # seconds; a bearer token, so short (SPIRE's default)
AUTHORITY_TTL: Final = 365 * 86_400.0  # seconds; it is not renewed yet: `issue_x509` refuses after that, with a hint
MAX_AUDIENCE_CHARACTERS: Final = 1_024
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class X509Authority:
    """One signing certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def create(cls, trust_domain: str, now: float) -> "X509Authority":
        key = PrivateKey.generate()
        return cls(authority_certificate(SpiffeId.of(trust_domain), key, now, AUTHORITY_TTL), key)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def expires(self) -> float:
        return self.certificate.not_valid_after_utc.timestamp()


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
class Authority:
    """The signing keys of one trust domain. The first of each signs; all of them are in the bundle.

    `sequence` rises with each change of the keys.
    """

    trust_domain: str
    x509_authorities: tuple[X509Authority, ...]
    jwt_authorities: tuple[JwtAuthority, ...]
    sequence: int = 1

    @classmethod
    def create(cls, trust_domain: str, now: float) -> "Authority":
        """New keys for `trust_domain`, good from `now` (Unix seconds); raises IdentityError for a bad name."""
        return cls(
            trust_domain, (X509Authority.create(trust_domain, now),), (JwtAuthority.of(PrivateKey.generate()),)
        )

    def bundle(self) -> Bundle:
        return Bundle(
            self.trust_domain,
            tuple(authority.der for authority in self.x509_authorities),
            tuple(authority.to_jwk() for authority in self.jwt_authorities),
            self.sequence,
        )

    def issue_x509(
        self,
        spiffe_id: SpiffeId,
        now: float,
        ttl: float = MAX_X509_TTL,
        public_key: ec.EllipticCurvePublicKey | None = None,
    ) -> X509Svid:
        """An X.509-SVID good for `ttl` seconds, at most MAX_X509_TTL and never past the authority's own end.

        Without `public_key` a new key is made and comes with it. Raises IdentityError for an ID that is not this
        trust domain's workload, StateError when the authority itself is at its end.
        """
        self._check(spiffe_id, ttl, MAX_X509_TTL)
        signer = self.x509_authorities[0]
        if now >= signer.expires:
            raise StateError(
                f"the signing certificate of `{self.trust_domain}` has expired",
                hint="make a new authority: move its key file away and start again",
            )
        key = PrivateKey.generate() if public_key is None else None
        public = public_key if key is None else key.public
        assert public is not None  # noqa: S101 - one of the two is there
        ttl = min(ttl, signer.expires - now)
        leaf = leaf_certificate(spiffe_id, public, issuer=signer.certificate, key=signer.key, now=now, ttl=ttl)
        chain = (leaf.public_bytes(serialization.Encoding.DER),)
        return X509Svid(spiffe_id, chain, key, now, leaf.not_valid_after_utc.timestamp())

    def issue_jwt(
        self, spiffe_id: SpiffeId, audience: tuple[str, ...], now: float, ttl: float = MAX_JWT_TTL
    ) -> JwtSvid:
        """A JWT-SVID for `audience`, good for `ttl` seconds, at most MAX_JWT_TTL; raises IdentityError."""
        self._check(spiffe_id, ttl, MAX_JWT_TTL)
        _check_audience(audience)
        signer, token_id = self.jwt_authorities[0], secrets.token_urlsafe(16)
        issued, expires = int(now), int(now + ttl)
        claims = {"sub": str(spiffe_id), "aud": list(audience), "iat": issued, "exp": expires, "jti": token_id}
        header = {"alg": "ES256", "kid": signer.kid, "typ": "JWT"}
        token = jwt.encode(header, claims, signer.signer, algorithms=["ES256"], default_type=None)
        return JwtSvid(spiffe_id, audience, Secret(token), issued, expires, token_id)

    def _check(self, spiffe_id: SpiffeId, ttl: float, most: float) -> None:
        if spiffe_id.trust_domain != self.trust_domain or not spiffe_id.path:
            raise IdentityError(f"`{spiffe_id}` is not a workload of trust domain `{self.trust_domain}`")
        if not 0 < ttl <= most:
            raise IdentityError(f"an SVID can't live for {ttl:g} s: more than 0 and at most {most:g}")

    @classmethod
    def open(cls, path: Path, trust_domain: str, now: float) -> "Authority":
        """Read the keys in `path`, or make them the first time, good from `now` (Unix seconds); raises StateError."""
        if path.exists():
            return cls.load(path)
        authority = cls.create(trust_domain, now)
        authority.save(path)
        return authority

    def save(self, path: Path) -> None:
        """Write the keys to `path`, owner-only, in one rename; raises StateError."""
        row = {
            "format": _FORMAT,
            "trust_domain": self.trust_domain,
            "sequence": self.sequence,
            "x509": [
                {
                    "certificate": authority.certificate.public_bytes(serialization.Encoding.PEM).decode(),
                    "key": authority.key.reveal_pem().decode(),
                }
                for authority in self.x509_authorities
            ],
            "jwt": [{"key": authority.key.reveal_pem().decode()} for authority in self.jwt_authorities],
        }
        write_private(path, json.dumps(row, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "Authority":
        """Read what `save` wrote; raises StateError when it is missing, readable by others or not whole."""
        content = read_private(path)
        try:
            return _parse(json.loads(content))
        except (ValueError, KeyError, TypeError, binascii.Error, IdentityError) as error:
            reason = error if isinstance(error, IdentityError) else "it is not what Remit wrote"
            raise StateError(
                f"the authority's keys in `{path}` can't be used: {reason}",
                hint="restore the file from a backup, or move it away to make a new authority (all SVIDs end)",
            ) from None


def _parse(row: dict[str, Any]) -> Authority:
    if row["format"] != _FORMAT:
        raise IdentityError(f"its format is {row['format']!r}, this Remit reads {_FORMAT}")
    trust_domain = SpiffeId.of(row["trust_domain"]).trust_domain
    authorities = tuple(_x509_authority(entry, trust_domain) for entry in row["x509"])
    signers = tuple(JwtAuthority.of(PrivateKey.from_pem(entry["key"].encode())) for entry in row["jwt"])
    if not authorities or not signers or not isinstance(row["sequence"], int):
        raise IdentityError("a signing key is missing")
    return Authority(trust_domain, authorities, signers, row["sequence"])


def _x509_authority(entry: dict[str, str], trust_domain: str) -> X509Authority:
    certificate = x509.load_pem_x509_certificate(entry["certificate"].encode())
    key = PrivateKey.from_pem(entry["key"].encode())
    if certificate.public_key() != key.public:
        raise IdentityError("a certificate is not of its key")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [str(SpiffeId.of(trust_domain))]:
        raise IdentityError("a certificate is not of its trust domain")
    return X509Authority(certificate, key)


def _check_audience(audience: tuple[str, ...]) -> None:
    if not audience or len(audience) > MAX_AUDIENCES:
        raise IdentityError(f"a JWT-SVID needs an audience, at most {MAX_AUDIENCES}")
    if any(not name or len(name) > MAX_AUDIENCE_CHARACTERS for name in audience):
        raise IdentityError(f"an audience is empty or longer than {MAX_AUDIENCE_CHARACTERS} characters")
