"""What relying parties read about this issuer: its keys, OpenID Connect discovery, OAuth metadata. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from remit.errors import IdentityError
from remit.identity.bundle import Bundle

DISCOVERY_PATH: Final = ".well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
KEYS_PATH: Final = "keys"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 (RFC 8693, 2.1; a name)
TASK_DETAILS: Final = "remit_task"  # the one type of `authorization_details` (RFC 9396) that is taken
ALGORITHM: Final = "ES256"
_PUBLIC: Final = ("kty", "crv", "x", "y", "kid")  # RFC 7518, 6.2.1 and RFC 7517, 4.5: all that is passed on of a key


def jwks(bundle: Bundle) -> dict[str, Any]:
    """The JWT-SVID keys as OpenID Connect has them: those that sign, are to sign, and signed until lately.

    Raises IdentityError for a key that is not P-256: a set without it would fail only once that key signs.
    """
    return {"keys": [_signing_key(key) for key in bundle.jwt_keys]}


def discovery(issuer: str) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, as far as who only verifies tokens needs it."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/{KEYS_PATH}",
        "authorization_endpoint": f"{issuer}/authorize",  # section 3 requires one; no browser logs in: nobody answers
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],  # not RS256, which section 3 asks for: nothing is RSA
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti"],
    }


def authorization_server(issuer: str, base: str, scopes: Sequence[str]) -> dict[str, Any]:
    """RFC 8414 metadata of the token endpoint below `base`, which hands out `scopes`.

    Clients are known by the kernel's word (`none`), or by a JWT-SVID as the assertion (`spiffe_jwt`,
    draft-ietf-oauth-spiffe-client-auth section 4).
    """
    return {
        "issuer": issuer,
        "token_endpoint": f"{base}/token",
        "revocation_endpoint": f"{base}/revoke",
        "jwks_uri": f"{base}/{KEYS_PATH}",
        "grant_types_supported": [TOKEN_EXCHANGE],
        "response_types_supported": [],  # section 2 requires it, 3.2 would omit it empty: said, as nobody authorizes
        **({"scopes_supported": list(scopes)} if scopes else {}),  # 3.2: nothing is said by an empty list
        "token_endpoint_auth_methods_supported": ["none", "spiffe_jwt"],
        "revocation_endpoint_auth_methods_supported": ["none", "spiffe_jwt"],
        "authorization_details_types_supported": [TASK_DETAILS],
    }


def _signing_key(key: Mapping[str, Any]) -> dict[str, Any]:
    if (key.get("kty"), key.get("crv")) != ("EC", "P-256") or not all(name in key for name in _PUBLIC):
        raise IdentityError(f"the key `{key.get('kid', '')}` of the bundle is not a P-256 key that can be published")
    return {**{name: key[name] for name in _PUBLIC}, "use": "sig", "alg": ALGORITHM}
