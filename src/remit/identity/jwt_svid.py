"""A JWT-SVID and its verification (JWT-SVID standard, sections 2 to 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.errors import IdentityError
from remit.identity.jws import VerifyingKey, numeric_date, strict_json, verify_jws
from remit.identity.spiffe_id import SpiffeId
from remit.secret import Secret

CLOCK_LEEWAY: Final = 5.0  # seconds that two machines' clocks may differ (JWT-SVID 3.3: keep it small)
MAX_AUDIENCES: Final = 16
JWT_USE: Final = "jwt-svid"  # SPIFFE Trust Domain and Bundle 4.2.2

Jwks = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JwtSvid:
    """One issued JWT-SVID. `issued` and `expires` are Unix seconds, `id` its `jti`."""

    spiffe_id: SpiffeId
    audience: tuple[str, ...]
    token: Secret
    issued: float
    expires: float
    id: str


@dataclass(frozen=True, slots=True)
class JwtClaims:
    """What a verified JWT-SVID says. `expires` is Unix seconds; `id` is its `jti`, or empty."""

    spiffe_id: SpiffeId
    audience: tuple[str, ...]
    expires: float
    id: str


@dataclass(frozen=True, slots=True)
class JwtKeys:
    """The keys that sign a trust domain's JWT-SVIDs, by `kid`: parsed once, used for many tokens."""

    trust_domain: str | None
    by_kid: Mapping[str, VerifyingKey] = field(repr=False)

    @classmethod
    def parse(cls, jwks: Jwks, *, trust_domain: str | None = None) -> "JwtKeys":
        """Parse a JWKS; keys with another `use` are skipped (as the bundle standard asks).

        Raises IdentityError when a JWT-SVID key can't be used, or two have one `kid`.
        """
        rows = jwks.get("keys")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise IdentityError("the key set has no list of `keys`")
        parsed = [VerifyingKey.parse(row) for row in rows if row.get("use") == JWT_USE]
        by_kid = {key.kid: key for key in parsed}
        if len(by_kid) != len(parsed):
            raise IdentityError("two keys of the key set have the same `kid`")
        return cls(trust_domain, by_kid)


def verify_jwt(
    token: str, jwks: Jwks | JwtKeys, audience: str, now: float, *, trust_domain: str | None = None
) -> JwtClaims:
    """What `token` proves to `audience` at `now` (Unix seconds), or IdentityError that says why not.

    1. One of the keys signed it, with an algorithm of that key (`jws.verify_jws`).
    2. `sub` is a workload's SPIFFE ID, in the trust domain that the keys belong to, where that is given.
    3. `exp` is there and not past; `nbf`, if there, has come. `iat` is not checked: it decides nothing.
    4. `aud` contains `audience`.

    Pure, so a caller may cache the answer until `expires`. Left to the caller: whether this token was seen before
    (JWT-SVIDs are bearer tokens; their `jti` is returned), and whether that ID may do anything. A caller whose keys
    come from more than one trust domain must give `trust_domain`.
    """
    keys = jwks if isinstance(jwks, JwtKeys) else JwtKeys.parse(jwks, trust_domain=trust_domain)
    # 1
    claims = strict_json(verify_jws(token, keys.by_kid))
    # 2
    spiffe_id = _subject(claims, trust_domain if trust_domain is not None else keys.trust_domain)
    # 3
    expires = numeric_date(claims, "exp")
    if now >= expires + CLOCK_LEEWAY:
        raise IdentityError("the token has expired", hint="fetch a new JWT-SVID from the Workload API")
    if "nbf" in claims and now + CLOCK_LEEWAY < numeric_date(claims, "nbf"):
        raise IdentityError("the token is not valid yet")
    # 4
    audiences = _audiences(claims)
    if audience not in audiences:
        raise IdentityError(f"the token is not for `{audience}`")
    return JwtClaims(spiffe_id, audiences, expires, _jti(claims))


def _subject(claims: Mapping[str, Any], trust_domain: str | None) -> SpiffeId:
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise IdentityError("the token has no `sub`")
    spiffe_id = SpiffeId.parse(subject)
    if not spiffe_id.path:
        raise IdentityError(f"`{spiffe_id}` names a trust domain, not a workload")
    if trust_domain is not None and spiffe_id.trust_domain != trust_domain:
        raise IdentityError(f"`{spiffe_id}` is signed by an authority of trust domain `{trust_domain}`")
    return spiffe_id


def _audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("aud")
    audiences = [value] if isinstance(value, str) else value
    if not isinstance(audiences, list) or not audiences or not all(isinstance(name, str) for name in audiences):
        raise IdentityError("the token has no `aud`, or it is not text")
    if len(audiences) > MAX_AUDIENCES:
        raise IdentityError(f"the token is for more than {MAX_AUDIENCES} audiences")
    return tuple(audiences)


def _jti(claims: Mapping[str, Any]) -> str:
    value = claims.get("jti", "")
    if not isinstance(value, str):
        raise IdentityError("the token's `jti` is not text")
    return value
