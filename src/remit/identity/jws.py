"""A signed compact JWS, taken strictly: one algorithm family per key, canonical base64url, known headers only."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwk, jws
from joserfc.errors import JoseError, SecurityWarning

from remit.errors import IdentityError
from remit.identity.roca import guessable

MAX_TOKEN_BYTES: Final = 8_192  # fits any HTTP server's header limit; a JWT-SVID is under 1 KiB
MAX_HEADER_BYTES: Final = 512  # as joserfc's own limit
MIN_RSA_BITS: Final = 2_048  # RFC 7518 3.3 and 3.5

# JWT-SVID 3.1: these and no others; never `none`, never a shared-secret algorithm.
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_RSA_UNNAMED: Final = "RS256"  # of a key without `alg`: SPIRE signs with that, and names none
_CURVE_ALGORITHMS: Final[dict[str, tuple[str, ...]]] = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_HEADERS: Final = {"alg", "kid", "typ"}  # JWT-SVID 2: others must not be there, so a `crit` is always unknown
_PUBLIC_MEMBERS: Final = {"EC": ("crv", "x", "y"), "RSA": ("n", "e")}

_SEGMENT = re.compile(rb"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One public key with the one algorithm it may be used with (RFC 8725 3.1); only `parse` makes it."""

    kid: str
    algorithm: str
    key: jwk.Key

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "VerifyingKey":
        """Parse one JWK (RFC 7517); raises IdentityError for a key that can't verify a JWT-SVID."""
        kid, kind = row.get("kid"), row.get("kty")
        if not isinstance(kid, str) or not kid:
            raise IdentityError("a key has no `kid`")
        if not isinstance(kind, str) or kind not in _PUBLIC_MEMBERS:
            raise IdentityError(f"key `{kid}` is of a type that no JWT-SVID is signed with")
        operations = row.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            raise IdentityError(f"key `{kid}` is not for verifying")
        public: dict[str, Any] = {"kty": kind, **{name: row.get(name) for name in _PUBLIC_MEMBERS[kind]}}
        try:
            key = jwk.import_key(public)
        except (JoseError, SecurityWarning, ValueError, TypeError, KeyError) as error:  # the warning: a short key
            raise IdentityError(f"key `{kid}` can't be read: {error}") from error
        return cls(kid, _algorithm(kid, key, row), key)


def _algorithm(kid: str, key: jwk.Key, row: Mapping[str, Any]) -> str:
    named = row.get("alg")
    if isinstance(key, jwk.RSAKey):
        _check_rsa(kid, key)
        fitting: tuple[str, ...] = _RSA_ALGORITHMS if named is not None else (_RSA_UNNAMED,)
    else:
        fitting = _CURVE_ALGORITHMS.get(str(row.get("crv")), ())
    for algorithm in fitting:
        if named in (None, algorithm):
            return algorithm
    raise IdentityError(f"key `{kid}` is for no algorithm that a JWT-SVID may have")


def _check_rsa(kid: str, key: jwk.RSAKey) -> None:
    if key.public_key.key_size < MIN_RSA_BITS:
        raise IdentityError(f"key `{kid}` is shorter than {MIN_RSA_BITS} bits")
    if guessable(key.public_key.public_numbers().n):
        raise IdentityError(f"key `{kid}` was made by a faulty chip and can be guessed (CVE-2017-15361)")


def verify_jws(token: str, keys: Mapping[str, VerifyingKey]) -> bytes:
    """The payload of `token` if one of `keys` (by `kid`) signed it, else IdentityError that says why not.

    1. Three segments of canonical base64url within the size limits (RFC 7515 2 and 7.1, RFC 4648 3.5).
    2. The header is JSON without duplicate names, and holds only what a JWT-SVID's may (no `crit`, no `jwk`).
    3. Its `kid` names a key, and its `alg` is that key's.
    4. The signature is that key's.
    """
    # 1
    header_bytes, payload, _signature = _segments(token)
    # 2
    header = _header(header_bytes)
    # 3
    key = keys.get(header["kid"])
    if key is None:
        raise IdentityError(f"the token is signed with key `{header['kid'][:80]!r}`, which is not the trust domain's")
    if header["alg"] != key.algorithm:
        raise IdentityError(f"the token's algorithm `{header['alg'][:20]!r}` is not its key's")
    # 4
    try:
        jws.deserialize_compact(token, key.key, algorithms=[key.algorithm])
    except (JoseError, ValueError, TypeError) as error:
        raise IdentityError("the token's signature is not good") from error
    return payload


def strict_json(content: bytes) -> dict[str, Any]:
    """A JSON object without duplicate names, NaN or infinities; raises IdentityError."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise IdentityError("a part of the token is not strict JSON") from error
    if not isinstance(value, dict):
        raise IdentityError("a part of the token is not a JSON object")
    return value


def _segments(token: str) -> tuple[bytes, bytes, bytes]:
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise IdentityError(f"the token is longer than {MAX_TOKEN_BYTES} bytes or not ASCII")
    parts = token.encode().split(b".")
    if len(parts) != 3:
        raise IdentityError("the token is not three segments with dots between them")
    header, payload, signature = (_decode(part) for part in parts)
    return header, payload, signature


def _decode(segment: bytes) -> bytes:
    if _SEGMENT.match(segment) is None or len(segment) % 4 == 1:
        raise IdentityError("a segment of the token is not base64url without padding")
    decoded = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment:  # RFC 4648 3.5: unused bits are zero
        raise IdentityError("a segment of the token is not canonical base64url")
    return decoded


def _header(content: bytes) -> dict[str, str]:
    if len(content) > MAX_HEADER_BYTES:
        raise IdentityError(f"the token's header is longer than {MAX_HEADER_BYTES} bytes")
    header = strict_json(content)
    texts = all(isinstance(value, str) for value in header.values())
    if not texts or not {"alg", "kid"} <= header.keys() <= _HEADERS:
        raise IdentityError("the token's header must have `alg` and `kid`, may have `typ`, and nothing else")
    if header.get("typ", "JWT") not in {"JWT", "JOSE"}:  # JWT-SVID 2.3
        raise IdentityError("the token's `typ` is not `JWT` or `JOSE`")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("duplicate name")
    return row


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
