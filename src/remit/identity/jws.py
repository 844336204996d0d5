"""A signed compact JWS, taken strictly: one algorithm family per key, canonical base64url, known headers only."""

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwk, jws
from joserfc.errors import JoseError, SecurityWarning

from remit.errors import IdentityError, UnknownKeyError
from remit.identity.roca import guessable

MAX_TOKEN_BYTES: Final = 8_192  # fits any HTTP server's header limit; a JWT-SVID is under 1 KiB
MAX_ID_TOKEN_BYTES: Final = 16_384  # a person's can list their groups; never sent as a header
MAX_HEADER_BYTES: Final = 512  # as joserfc's own limit
MIN_RSA_BITS: Final = 2_048  # RFC 7518 3.3 and 3.5

_PUBLIC_MEMBERS: Final = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}

_SEGMENT = re.compile(rb"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of token is signed with, and what its header may say. Never `none`, never a shared secret.

    `rsa` are an RSA key's algorithms, `curves` each curve's; the first is that of a key which names none.
    With `strict` a header has `kid`, and nothing but `_HEADERS`. Without, other names are ignored (RFC 7515 4), save
    `crit`, and `kid` may be missing where the set has one key.
    """

    name: str
    signer: str
    rsa: tuple[str, ...]
    curves: Mapping[str, tuple[str, ...]]
    types: tuple[str, ...]
    strict: bool
    size: int


_HEADERS: Final = {"alg", "kid", "typ"}  # JWT-SVID 2: others must not be there, so a `crit` is always unknown

JWT_SVID: Final = Profile(
    name="JWT-SVID",
    signer="the trust domain",
    # JWT-SVID 3.1, as the curves; SPIRE signs with RS256, and names none
    rsa=("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    curves={"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)},
    types=("JWT", "JOSE"),  # JWT-SVID 2.3
    strict=True,
    size=MAX_TOKEN_BYTES,
)
ID_TOKEN: Final = Profile(
    name="ID token",
    signer="the provider",
    rsa=("RS256", "PS256"),  # OpenID Connect Core 3.1.3.7, step 7: RS256 is the default
    curves={"P-256": ("ES256",), "Ed25519": ("EdDSA", "Ed25519")},  # RFC 9864: two names of one algorithm
    types=("JWT",),  # RFC 8725 3.11: not an access token (`at+jwt`), not a logout token (`logout+jwt`)
    strict=False,
    size=MAX_ID_TOKEN_BYTES,
)


class _Only(jws.JWSRegistry):
    """joserfc's, with the one algorithm that is asked for: this file has said which, and which headers."""

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            raise JoseError(f"`{name}` is not this key's algorithm")
        return self.algorithms[name]  # theirs warns of `EdDSA`, a name that providers still use


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One public key with the one algorithm it may be used with (RFC 8725 3.1); only `parse` makes it."""

    kid: str
    algorithm: str
    key: jwk.Key

    @classmethod
    def parse(cls, row: Mapping[str, Any], profile: Profile = JWT_SVID) -> "VerifyingKey":
        """Parse one JWK (RFC 7517); raises IdentityError for a key that can't verify a token of that profile."""
        kid, kind = row.get("kid", ""), row.get("kty")
        if not isinstance(kid, str) or (profile.strict and not kid):
            raise IdentityError("a key has no `kid`")
        if not isinstance(kind, str) or kind not in _PUBLIC_MEMBERS:
            raise IdentityError(f"key `{kid}` is of a type that no {profile.name} is signed with")
        operations = row.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            raise IdentityError(f"key `{kid}` is not for verifying")
        public: dict[str, Any] = {"kty": kind, **{name: row.get(name) for name in _PUBLIC_MEMBERS[kind]}}
        try:
            key = jwk.import_key(public)
        except (JoseError, SecurityWarning, ValueError, TypeError, KeyError) as error:  # the warning: a short key
            raise IdentityError(f"key `{kid}` can't be read: {error}") from error
        return cls(kid, _algorithm(kid, key, row, profile), key)


def _algorithm(kid: str, key: jwk.Key, row: Mapping[str, Any], profile: Profile) -> str:
    named = row.get("alg")
    if isinstance(key, jwk.RSAKey):
        _check_rsa(kid, key)
        fitting = profile.rsa
    else:
        fitting = profile.curves.get(str(row.get("crv")), ())
    for algorithm in fitting:
        if named in (None, algorithm):
            return algorithm
    raise IdentityError(f"key `{kid}` is for no algorithm that a {profile.name} may have")


def _check_rsa(kid: str, key: jwk.RSAKey) -> None:
    if key.public_key.key_size < MIN_RSA_BITS:
        raise IdentityError(f"key `{kid}` is shorter than {MIN_RSA_BITS} bits")
    if guessable(key.public_key.public_numbers().n):
        raise IdentityError(f"key `{kid}` was made by a faulty chip and can be guessed (CVE-2017-15361)")


def verify_jws(token: str, keys: Mapping[str, VerifyingKey], profile: Profile = JWT_SVID) -> bytes:
    """The payload of `token` if one of `keys` (by `kid`) signed it, else IdentityError that says why not.

    1. Three segments of canonical base64url within the size limits (RFC 7515 2 and 7.1, RFC 4648 3.5).
    2. The header is JSON without duplicate names, and holds what the profile lets it (no `crit`).
    3. Its `kid` names a key, and its `alg` is that key's. UnknownKeyError: a newer set may have that key.
    4. The signature is that key's.
    """
    # 1
    header_bytes, payload, _signature = _segments(token, profile.size)
    # 2
    header = _header(header_bytes, profile)
    # 3
    key = _key(header, keys, profile)
    if header["alg"] != key.algorithm:
        raise IdentityError(f"the token's algorithm `{header['alg'][:20]!r}` is not its key's")
    # 4
    registry = _Only(algorithms=[key.algorithm], strict_check_header=profile.strict)
    try:
        jws.deserialize_compact(token, key.key, registry=registry)
    except (JoseError, ValueError, TypeError) as error:
        raise IdentityError("the token's signature is not good") from error
    return payload


def _key(header: Mapping[str, Any], keys: Mapping[str, VerifyingKey], profile: Profile) -> VerifyingKey:
    if "kid" not in header:  # only where `_header` lets it be missing; OpenID Connect Core 10.1
        if len(keys) != 1:
            raise IdentityError(f"the token doesn't say with which of {profile.signer}'s keys it is signed")
        return next(iter(keys.values()))
    key = keys.get(header["kid"])
    if key is None:
        raise UnknownKeyError(
            f"the token is signed with key `{header['kid'][:80]!r}`, which is not {profile.signer}'s",
            hint="if it is new there, it is known here within a minute",
        )
    return key


def strict_json(content: bytes, what: str = "a part of the token") -> dict[str, Any]:
    """A JSON object without duplicate names, NaN or infinities; raises IdentityError that names `what` it is."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise IdentityError(f"{what} is not strict JSON") from error
    if not isinstance(value, dict):
        raise IdentityError(f"{what} is not a JSON object")
    return value


def numeric_date(claims: Mapping[str, Any], name: str) -> float:
    """The claim's Unix seconds (RFC 7519 2, NumericDate); raises IdentityError when it is missing or no number."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IdentityError(f"the token has no `{name}`, or it is not a number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):  # `1e999` is JSON, and never comes
        raise IdentityError(f"the token's `{name}` is out of range")
    return seconds


def _segments(token: str, size: int) -> tuple[bytes, bytes, bytes]:
    if len(token) > size or not token.isascii():
        raise IdentityError(f"the token is longer than {size} bytes or not ASCII")
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


def _header(content: bytes, profile: Profile) -> dict[str, Any]:
    if len(content) > MAX_HEADER_BYTES:
        raise IdentityError(f"the token's header is longer than {MAX_HEADER_BYTES} bytes")
    header = strict_json(content)
    if not all(isinstance(header[name], str) for name in _HEADERS & header.keys()):
        raise IdentityError("the token's `alg`, `kid` and `typ` must be text")
    if profile.strict and not {"alg", "kid"} <= header.keys() <= _HEADERS:
        raise IdentityError("the token's header must have `alg` and `kid`, may have `typ`, and nothing else")
    if "alg" not in header or "crit" in header:  # RFC 7515 4.1.11: what must be understood is not
        raise IdentityError("the token's header must have `alg` and no `crit`")
    if header.get("typ", "JWT") not in profile.types:
        raise IdentityError(f"the token's `typ` is not `{'` or `'.join(profile.types)}`")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("duplicate name")
    return row


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
