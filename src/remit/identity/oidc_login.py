"""What a person's ID token proves (OpenID Connect Core 1.0, section 3.1.3.7). Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.errors import IdentityError
from remit.identity.jws import ID_TOKEN, VerifyingKey, numeric_date, strict_json, verify_jws

CLOCK_LEEWAY: Final = 30.0  # seconds: the provider is another machine, whose clock nobody here keeps
MAX_AGE: Final = 600.0  # seconds since `iat`: a person logs in and the token is handed over at once
MAX_SUBJECT: Final = 255  # OpenID Connect Core 2: `sub` is at most 255 ASCII characters
MAX_AUDIENCES: Final = 16
MAX_KEYS: Final = 64
_ISSUER_HINT: Final = "`login.issuer` must be written as the provider writes it"
_CLIENT_HINT: Final = "`login.client_id` must be what the provider calls this client"
_CLOCK_HINT: Final = "compare this machine's clock with the provider's, and log in anew"


@dataclass(frozen=True, slots=True)
class Login:
    """Who logged in where. `authenticated` (Unix seconds) is when they last showed the provider who they are."""

    issuer: str
    subject: str
    authenticated: float | None


def verify_id_token(
    token: str, jwks: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float
) -> Login:
    """The login that `token` proves at `now` (Unix seconds), or IdentityError that says why it proves none.

    1. A key of the provider's set signed it, with that key's algorithm. UnknownKeyError: a newer set may have it.
    2. `iss` is the issuer, to the letter.
    3. `aud` has the client; `azp`, which several audiences need, is the client.
    4. It has not expired, and was made at most `MAX_AGE` ago.
    5. `nonce` is the one that was handed out for this login.
    6. `sub` names somebody.

    Left to the caller: that the nonce is spent once, and whose login it is. Not checked here: `at_hash`, as no access
    token is used; `acr`, as none is asked for.
    """
    # 1
    claims = strict_json(verify_jws(token, _keys(jwks), ID_TOKEN))
    # 2
    if claims.get("iss") != issuer:
        raise IdentityError(f"the ID token is not from `{issuer}`", hint=_ISSUER_HINT)
    # 3
    _check_audience(claims, client_id)
    # 4
    _check_times(claims, now)
    # 5
    _check_nonce(claims, nonce)
    # 6
    return Login(issuer, _subject(claims), _authenticated(claims, now))


def _keys(jwks: Mapping[str, Any]) -> dict[str, VerifyingKey]:
    """The keys that can verify, by `kid`. Others are passed over: a provider's set holds keys for other uses, too.

    Two with one `kid` are both passed over, as nobody can say which is meant.
    """
    rows = jwks.get("keys")
    if not isinstance(rows, list) or len(rows) > MAX_KEYS or not all(isinstance(row, dict) for row in rows):
        raise IdentityError(f"the provider's key set is not a list of at most {MAX_KEYS} `keys`")
    found: dict[str, VerifyingKey] = {}
    twice = set()
    for key in filter(None, (_usable(row) for row in rows)):
        twice.update({key.kid} & found.keys())
        found[key.kid] = key
    return {kid: key for kid, key in found.items() if kid not in twice}


def _usable(row: Mapping[str, Any]) -> VerifyingKey | None:
    if row.get("use", "sig") != "sig":
        return None
    try:
        return VerifyingKey.parse(row, ID_TOKEN)
    except IdentityError:
        return None


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    value = claims.get("aud")
    audiences = [value] if isinstance(value, str) else value
    if not isinstance(audiences, list) or not 0 < len(audiences) <= MAX_AUDIENCES or client_id not in audiences:
        raise IdentityError(
            f"the ID token is not for client `{client_id}`",
            hint=_CLIENT_HINT,
        )
    if len(audiences) > 1 and "azp" not in claims:
        raise IdentityError("the ID token is for several clients, and doesn't say which asked for it (`azp`)")
    if claims.get("azp", client_id) != client_id:
        raise IdentityError(f"another client than `{client_id}` asked for the ID token")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued = numeric_date(claims, "exp"), numeric_date(claims, "iat")
    if now >= expires + CLOCK_LEEWAY:
        raise IdentityError("the ID token has expired", hint=_CLOCK_HINT)
    if issued > now + CLOCK_LEEWAY:
        raise IdentityError("the ID token was made in the future", hint=_CLOCK_HINT)
    if issued < now - MAX_AGE:
        raise IdentityError(f"the ID token was made more than {MAX_AGE:.0f} s ago", hint=_CLOCK_HINT)
    if "nbf" in claims and numeric_date(claims, "nbf") > now + CLOCK_LEEWAY:
        raise IdentityError("the ID token is not valid yet", hint=_CLOCK_HINT)


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    said = claims.get("nonce")
    if not nonce or not isinstance(said, str) or not said.isascii() or not hmac.compare_digest(said, nonce):
        raise IdentityError("the ID token was made for another login (`nonce`)", hint="run `remit login` anew")


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise IdentityError(f"the ID token's `sub` is not 1 to {MAX_SUBJECT} characters")
    if not (subject.isascii() and subject.isprintable()):
        raise IdentityError("the ID token's `sub` has characters that can't be shown")
    return subject


def _authenticated(claims: Mapping[str, Any], now: float) -> float | None:
    if "auth_time" not in claims:
        return None
    moment = numeric_date(claims, "auth_time")
    if moment > now + CLOCK_LEEWAY:
        raise IdentityError("the ID token's person logs in only in the future (`auth_time`)", hint=_CLOCK_HINT)
    return moment
