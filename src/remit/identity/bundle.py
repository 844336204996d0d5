"""A trust domain's bundle: the public half of its authorities, as a JWKS (SPIFFE Trust Domain and Bundle, 4)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk

from remit.errors import IdentityError
from remit.identity.jwt_svid import JWT_USE, JwtKeys

X509_USE: Final = "x509-svid"  # SPIFFE Trust Domain and Bundle 4.2.2
MAX_KEYS: Final = 64


@dataclass(frozen=True, slots=True)
class Bundle:
    """What verifiers need of one trust domain.

    `x509_authorities` are DER certificates; `jwt_keys` are JWKs with `kid` and `use: jwt-svid`.
    `sequence` rises with each change; `refresh_hint` is seconds until a reader should look again. 0 is "not said".
    """

    trust_domain: str
    x509_authorities: tuple[bytes, ...]
    jwt_keys: tuple[dict[str, Any], ...]
    sequence: int = 0
    refresh_hint: int = 0

    def jwks(self) -> dict[str, Any]:
        """The JWT-SVID keys alone, as the Workload API gives them."""
        return {"keys": [dict(key) for key in self.jwt_keys]}

    def to_dict(self) -> dict[str, Any]:
        keys = [_x509_jwk(der) for der in self.x509_authorities] + [dict(key) for key in self.jwt_keys]
        row: dict[str, Any] = {"keys": keys}
        if self.sequence:
            row["spiffe_sequence"] = self.sequence
        if self.refresh_hint:
            row["spiffe_refresh_hint"] = self.refresh_hint
        return row

    @classmethod
    def from_dict(cls, trust_domain: str, row: Mapping[str, Any]) -> "Bundle":
        """Parse a SPIFFE bundle; keys of an unknown `use` are ignored (4.2.2). Raises IdentityError."""
        rows = row.get("keys")
        if not isinstance(rows, list) or len(rows) > MAX_KEYS or not all(isinstance(key, dict) for key in rows):
            raise IdentityError(f"the bundle has no list of at most {MAX_KEYS} `keys`")
        certificates = tuple(_certificate(key) for key in rows if key.get("use") == X509_USE)
        JwtKeys.parse(row)
        jwt_keys = tuple(dict(key) for key in rows if key.get("use") == JWT_USE)
        return cls(
            trust_domain, certificates, jwt_keys, _count(row, "spiffe_sequence"), _count(row, "spiffe_refresh_hint")
        )


def public_jwk(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> dict[str, Any]:
    """The public JWK of `key`: its type's members only, no `kid`, no `use`."""
    imported = jwk.RSAKey.import_key(key) if isinstance(key, rsa.RSAPublicKey) else jwk.ECKey.import_key(key)
    return dict(imported.as_dict(private=False))


def _x509_jwk(der: bytes) -> dict[str, Any]:
    key = x509.load_der_x509_certificate(der).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise IdentityError("an authority's key is neither EC nor RSA")
    return {"use": X509_USE, **public_jwk(key), "x5c": [base64.b64encode(der).decode()]}


def _certificate(row: Mapping[str, Any]) -> bytes:
    chain = row.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):  # 4.2.2: exactly one
        raise IdentityError("an X.509 key of the bundle has not exactly one certificate in `x5c`")
    try:
        der = base64.b64decode(chain[0], validate=True)
        x509.load_der_x509_certificate(der).public_key()
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"a certificate of the bundle can't be read: {error}") from error
    return der


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise IdentityError(f"the bundle's `{name}` is not a whole number")
    return value
