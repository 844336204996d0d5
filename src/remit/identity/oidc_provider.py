"""Where an OpenID provider says that it can be reached (OpenID Connect Discovery 1.0, sections 3 and 4). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from remit.errors import IdentityError
from remit.identity.jws import strict_json

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
MAX_URL: Final = 2_048
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_PKCE: Final = "S256"


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """One provider. `names_itself` says that each of its answers to a login has its `iss` (RFC 9207).

    `authentication` is how a client with a secret shows it at the token endpoint.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    authentication: Literal["client_secret_basic", "client_secret_post"]

    @classmethod
    def parse(cls, content: bytes, issuer: str) -> "OpenIdProvider":
        """From its discovery document; raises IdentityError unless it is `issuer`'s and can be used."""
        row = strict_json(content, "the provider's discovery document")
        if row.get("issuer") != issuer:
            raise IdentityError(
                f"the provider at `{issuer}` calls itself `{str(row.get('issuer'))[:MAX_URL]!r}`",
                hint="`login.issuer` must be written as the provider writes it",
            )
        _check_offers(row, "response_types_supported", "code")
        _check_offers(row, "code_challenge_methods_supported", _PKCE)
        return cls(
            issuer,
            _endpoint(row, "authorization_endpoint", issuer),
            _endpoint(row, "token_endpoint", issuer),
            _endpoint(row, "jwks_uri", issuer),
            row.get("authorization_response_iss_parameter_supported") is True,
            _authentication(row.get("token_endpoint_auth_methods_supported")),
        )


def discovery_url(issuer: str) -> str:
    return check_url(issuer).geturl().rstrip("/") + DISCOVERY_PATH


def check_url(url: str) -> SplitResult:
    """The parts of a URL that secrets may be sent to: `https`, or `http` to this machine; raises IdentityError."""
    try:
        parts = urlsplit(url)
        named, host = parts.port, parts.hostname
    except ValueError as error:
        raise IdentityError(f"`{url[:MAX_URL]!r}` is not a URL") from error
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if not plain or not host or named == 0 or "@" in parts.netloc or parts.fragment:
        raise IdentityError(f"`{url[:MAX_URL]!r}` is not a URL of a host and a path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise IdentityError(f"`{url}` is not `https`", hint="`http` is for a provider on this machine only")
    return parts


def _endpoint(row: Mapping[str, Any], name: str, issuer: str) -> str:
    url = row.get(name)
    if not isinstance(url, str):
        raise IdentityError(f"the provider doesn't say where its `{name}` is")
    if check_url(url).scheme != "https" and issuer.startswith("https:"):
        raise IdentityError(f"the provider's `{name}` is on this machine, and the provider is not")
    return url


def _authentication(offered: object) -> Literal["client_secret_basic", "client_secret_post"]:
    """RFC 6749 2.3.1: in a header, unless a provider takes it in the body only. Those are not listed by all."""
    if isinstance(offered, list) and "client_secret_post" in offered and "client_secret_basic" not in offered:
        return "client_secret_post"
    return "client_secret_basic"


def _check_offers(row: Mapping[str, Any], name: str, needed: str) -> None:
    """What a provider doesn't list it may have all the same (RFC 8414 2: the lists are optional)."""
    offered = row.get(name, [needed])
    if not isinstance(offered, list) or needed not in offered:
        raise IdentityError(
            f"the provider doesn't offer `{needed}` (`{name}`)", hint="enable it there for this client"
        )
