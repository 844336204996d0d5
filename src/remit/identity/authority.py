"""A trust domain's authority: it signs the X.509- and JWT-SVIDs of one trust domain."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt

from remit.errors import IdentityError, StateError
from remit.identity.authority_keys import JwtAuthority, Retired, X509Authority
from remit.identity.bundle import Bundle
from remit.identity.certificate import leaf_certificate
from remit.identity.jwt_svid import MAX_AUDIENCES, JwtSvid
from remit.identity.private_file import clear_spares, read_private, write_private
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId
from remit.identity.x509_svid import X509Svid
from remit.secret import Secret

MAX_X509_TTL: Final = 3600.0  # seconds; SPIRE's default
MAX_JWT_TTL: Final = 300.0  # seconds; a bearer token, so short (SPIRE's default)
AUTHORITY_TTL: Final = 365 * 86_400.0  # seconds; its successor is made at half of that (`rotation`)
REFRESH_HINT: Final = 300  # seconds; a new key is published long before it signs, so a reader may even miss a few
MAX_AUDIENCE_CHARACTERS: Final = 1_024
_FORMAT: Final = 2  # 1 had no `prepared_at` and no `retired`
_READ: Final = (1, _FORMAT)


@dataclass(frozen=True, slots=True)
class Authority:
    """The signing keys of one trust domain. The first of each signs; all of them are in the bundle.

    A second of each is prepared: published since `prepared_at` (Unix seconds), to sign later. `retired` are those
    that signed before. `sequence` rises with each change of the keys; `rotation` makes the changes.
    """

    trust_domain: str
    x509_authorities: tuple[X509Authority, ...]
    jwt_authorities: tuple[JwtAuthority, ...]
    sequence: int = 1
    prepared_at: float = 0.0
    retired: tuple[Retired, ...] = ()
    outside: str = ""
    """The digest of the outside CA's roots that were last in the bundle, or empty."""

    @classmethod
    def create(cls, trust_domain: str, now: float, life: float = AUTHORITY_TTL) -> "Authority":
        """New keys for `trust_domain`, good for `life` seconds from `now` (Unix); IdentityError for a bad name."""
        signers = (JwtAuthority.of(PrivateKey.generate()),)
        return cls(trust_domain, (X509Authority.create(trust_domain, now, life),), signers)

    def bundle(self) -> Bundle:
        anchors = [anchor for authority in self.x509_authorities for anchor in authority.anchors]
        return Bundle(
            self.trust_domain,
            tuple(dict.fromkeys([*anchors, *(old.certificate for old in self.retired if old.certificate)])),
            (*(authority.to_jwk() for authority in self.jwt_authorities), *(old.jwk for old in self.retired)),
            self.sequence,
            REFRESH_HINT,
        )

    def signing_certificates(self) -> tuple[bytes, ...]:
        """DER: what this trust domain's SVIDs are signed with directly, now or until lately, or will be soon.

        Under an outside CA these are not the bundle's roots: who trusts only them takes no other intermediate's word.
        """
        retired = tuple(old.certificate for old in self.retired if old.certificate)
        return (*(authority.der for authority in self.x509_authorities), *retired)

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
        _check_in_force(signer, self.trust_domain, now)
        key = PrivateKey.generate() if public_key is None else None
        public = public_key if key is None else key.public
        assert public is not None  # noqa: S101 - one of the two is there
        ttl = min(ttl, signer.expires - now)
        leaf = leaf_certificate(spiffe_id, public, issuer=signer.certificate, key=signer.key, now=now, ttl=ttl)
        chain = (leaf.public_bytes(serialization.Encoding.DER), *signer.path)
        return X509Svid(spiffe_id, chain, key, now, leaf.not_valid_after_utc.timestamp())

    def issue_jwt(
        self,
        spiffe_id: SpiffeId,
        audience: tuple[str, ...],
        now: float,
        ttl: float = MAX_JWT_TTL,
        issuer: str = "",
    ) -> JwtSvid:
        """A JWT-SVID for `audience`, good for `ttl` seconds, at most MAX_JWT_TTL; raises IdentityError.

        `issuer` is where others find the keys (`oidc`). SPIFFE's verifiers don't read it: they go by the name.
        """
        self._check(spiffe_id, ttl, MAX_JWT_TTL)
        _check_audience(audience)
        signer, token_id = self.jwt_authorities[0], secrets.token_urlsafe(16)
        issued, expires = int(now), int(now + ttl)
        claims = {"sub": str(spiffe_id), "aud": list(audience), "iat": issued, "exp": expires, "jti": token_id}
        claims |= {"iss": issuer} if issuer else {}
        header = {"alg": "ES256", "kid": signer.kid, "typ": "JWT"}
        token = jwt.encode(header, claims, signer.signer, algorithms=["ES256"], default_type=None)
        return JwtSvid(spiffe_id, audience, Secret(token), issued, expires, token_id)

    def _check(self, spiffe_id: SpiffeId, ttl: float, most: float) -> None:
        if spiffe_id.trust_domain != self.trust_domain or not spiffe_id.path:
            raise IdentityError(f"`{spiffe_id}` is not a workload of trust domain `{self.trust_domain}`")
        if not 0 < ttl <= most:
            raise IdentityError(f"an SVID can't live for {ttl:g} s: more than 0 and at most {most:g}")

    @classmethod
    def open(cls, path: Path, trust_domain: str, now: float, life: float = AUTHORITY_TTL) -> "Authority":
        """Read the keys in `path`, or make them the first time, good from `now` (Unix seconds); raises StateError."""
        clear_spares(path)  # of a write that was killed: they hold keys that were never in force
        if not os.path.lexists(path):
            authority = cls.create(trust_domain, now, life)
            authority.save(path)
            return authority
        authority = cls.load(path)
        if authority.trust_domain != trust_domain:
            raise StateError(
                f"the authority's keys in `{path}` are of `{authority.trust_domain}`, not of `{trust_domain}`",
                hint="set `trust_domain` back, or move the file away to make a new authority (all SVIDs end)",
            )
        return authority

    def save(self, path: Path) -> None:
        """Write the keys to `path`, owner-only, in one rename; raises StateError."""
        row = {
            "format": _FORMAT,
            "trust_domain": self.trust_domain,
            "sequence": self.sequence,
            "x509": [authority.to_row() for authority in self.x509_authorities],
            "jwt": [{"key": authority.key.reveal_pem().decode()} for authority in self.jwt_authorities],
            "prepared_at": self.prepared_at,
            "retired": [old.to_row() for old in self.retired],
            "outside": self.outside,
        }
        write_private(path, json.dumps(row, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "Authority":
        """Read what `save` wrote; raises StateError when it is missing, readable by others or not whole."""
        content = read_private(path)
        try:
            return _parse(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError, x509.ExtensionNotFound, IdentityError) as error:
            reason = error if isinstance(error, IdentityError) else "it is not what Remit wrote"
            raise StateError(
                f"the authority's keys in `{path}` can't be used: {reason}",
                hint="restore the file from a backup, or move it away to make a new authority (all SVIDs end)",
            ) from None


def _parse(row: dict[str, Any]) -> Authority:
    if row["format"] not in _READ:
        raise IdentityError(f"its format is {row['format']!r}, this Remit reads {_FORMAT}")
    trust_domain = SpiffeId.of(row["trust_domain"]).trust_domain
    authorities = tuple(X509Authority.from_row(entry, trust_domain) for entry in row["x509"])
    signers = tuple(JwtAuthority.of(PrivateKey.from_pem(entry["key"].encode())) for entry in row["jwt"])
    if not authorities or len(authorities) != len(signers) or not isinstance(row["sequence"], int):
        raise IdentityError("a signing key is missing")
    retired = tuple(Retired.from_row(entry, trust_domain) for entry in row.get("retired", ()))
    prepared_at, outside = float(row.get("prepared_at", 0.0)), str(row.get("outside", ""))
    return Authority(trust_domain, authorities, signers, row["sequence"], prepared_at, retired, outside)


def _check_in_force(signer: X509Authority, trust_domain: str, now: float) -> None:
    if now >= signer.expires:
        hint = "renew it in the outside CA's files" if signer.roots else "start Remit again: it makes a new one"
        raise StateError(f"the signing certificate of `{trust_domain}` has expired", hint=hint)
    if now < signer.starts:
        raise StateError(f"the signing certificate of `{trust_domain}` is not valid yet", hint="set the clock right")


def _check_audience(audience: tuple[str, ...]) -> None:
    if not audience or len(audience) > MAX_AUDIENCES:
        raise IdentityError(f"a JWT-SVID needs an audience, at most {MAX_AUDIENCES}")
    if any(not name or len(name) > MAX_AUDIENCE_CHARACTERS for name in audience):
        raise IdentityError(f"an audience is empty or longer than {MAX_AUDIENCE_CHARACTERS} characters")
