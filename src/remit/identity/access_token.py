"""An access token for a task (RFC 9068 `at+jwt`, with RFC 8693's `act`): signed, and read back. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt

from remit.errors import IdentityError
from remit.identity.authority_keys import JwtAuthority
from remit.identity.jws import Profile, VerifyingKey, numeric_date, strict_json, verify_jws
from remit.identity.jwt_svid import CLOCK_LEEWAY, JWT_USE, Jwks
from remit.identity.spiffe_id import SpiffeId
from remit.secret import Secret

TYPE: Final = "at+jwt"  # RFC 9068 2.1; no JWT-SVID has it (JWT-SVID 2.3), so neither passes for the other
MAX_ACTORS: Final = 16  # read; how many there may be is the tasks' business
ACCESS_TOKEN: Final = Profile(
    name="access token",
    signer="the trust domain",
    rsa=(),
    curves={"P-256": ("ES256",)},
    types=(TYPE, f"application/{TYPE}"),  # RFC 9068 4
    strict=True,
    size=8_192,
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What one says. `subject` is whose authority it is, `actors` who acts with it, the first first.

    Times are whole Unix seconds. `id` is its `jti`; `details` are `authorization_details` (RFC 9396).
    """

    issuer: str
    subject: SpiffeId
    audience: SpiffeId
    scope: tuple[str, ...]
    actors: tuple[SpiffeId, ...]
    issued: int
    expires: int
    id: str
    details: tuple[Mapping[str, Any], ...] = ()

    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": str(self.subject),
            "aud": str(self.audience),
            "client_id": str(self.actors[-1] if self.actors else self.subject),
            "iat": self.issued,
            "exp": self.expires,
            "jti": self.id,
            "scope": " ".join(self.scope),
            "authorization_details": [dict(detail) for detail in self.details],
        }
        act: dict[str, Any] = {}
        for actor in self.actors:  # RFC 8693 4.1: the outermost acts now, those within acted before
            act = {"sub": str(actor), "act": act} if act else {"sub": str(actor)}
        return {**claims, "act": act} if act else claims


def sign(token: AccessToken, signer: JwtAuthority) -> Secret:
    """The signed token."""
    header = {"alg": "ES256", "kid": signer.kid, "typ": TYPE}
    return Secret(jwt.encode(header, token.claims(), signer.signer, algorithms=["ES256"], default_type=None))


def verify(token: str, jwks: Jwks, *, issuer: str, audience: SpiffeId, now: float) -> AccessToken:
    """What `token` proves to `audience` at `now` (Unix seconds), or IdentityError that says why not (RFC 9068 4).

    Left to the caller: whether its task is still live, and who sends it.
    """
    rows = [row for row in jwks["keys"] if row.get("use") == JWT_USE]
    keys = [VerifyingKey.parse(row, ACCESS_TOKEN) for row in rows]
    claims = strict_json(verify_jws(token, {key.kid: key for key in keys}, ACCESS_TOKEN))
    if not issuer or claims.get("iss") != issuer:
        raise IdentityError("the token is another issuer's")
    if claims.get("aud") != str(audience):
        raise IdentityError(f"the token is not for `{audience}`")
    expires = numeric_date(claims, "exp")
    if now >= expires:  # made and read on one machine: no leeway
        raise IdentityError("the token has expired", hint="exchange the one that it came from again")
    if numeric_date(claims, "iat") > now + CLOCK_LEEWAY:
        raise IdentityError("the token is from the future", hint="set the clock right")
    return AccessToken(
        issuer,
        SpiffeId.parse(_text(claims, "sub")),
        audience,
        tuple(_text(claims, "scope").split()),
        _actors(claims),
        int(numeric_date(claims, "iat")),
        int(expires),
        _text(claims, "jti"),
    )


def _actors(claims: Mapping[str, Any]) -> tuple[SpiffeId, ...]:
    found: list[SpiffeId] = []
    act = claims.get("act")
    while act is not None and len(found) < MAX_ACTORS:
        if not isinstance(act, dict):
            raise IdentityError("the token's `act` is not an object")
        found.append(SpiffeId.parse(_text(act, "sub")))
        act = act.get("act")
    if act is not None:
        raise IdentityError(f"the token's `act` is deeper than {MAX_ACTORS}")
    return tuple(reversed(found))


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise IdentityError(f"the token has no `{name}`, or it is not text")
    return value


def is_one(token: str) -> bool:
    """Whether it says of itself that it is an access token: then it must be a good one."""
    header, dot, _ = token.partition(".")
    if not dot:
        return False
    try:
        said = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    except ValueError:
        return False
    return f'{TYPE}"'.encode() in said
