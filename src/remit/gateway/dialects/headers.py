"""Which headers pass: a short list each way, and the names that are refused because they would redirect a call."""

from typing import Final

from remit.errors import ProtocolError
from remit.gateway.message import Headers

# `authorization` and `x-api-key` are in neither list: they identify the caller to the gateway and stop there; the
# lease puts Remit's own in their place. `content-type`, `content-length` and `accept-encoding` are the gateway's to
# set: it sends JSON that it wrote, and must be able to read the answer.
FORWARDED: Final = frozenset({"accept", "anthropic-beta", "anthropic-version", "openai-beta", "user-agent"})
RETURNED: Final = frozenset({"cache-control", "retry-after"})  # the content type is said of what was read

_UPSTREAM: Final = "it would choose another upstream or path"
_ORIGIN: Final = "it claims where the call came from, which the kernel says"
_SECRET: Final = "it carries a credential past the gateway"  # noqa: S105 - a reason, not a secret
REFUSED: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "x-api-base",
            "x-base-url",
            "x-forwarded-host",
            "x-forwarded-path",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "x-forwarded-proto",
            "x-forwarded-scheme",
            "x-forwarded-server",
            "x-host",
            "x-http-host-override",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-host",
            "x-original-uri",
            "x-original-url",
            "x-proxy-url",
            "x-rewrite-url",
            "x-upstream",
            "x-upstream-url",
            "x-envoy-original-path",
            "x-envoy-original-dst-host",
        ),
        _UPSTREAM,
    ),
    **dict.fromkeys(
        (
            "cf-connecting-ip",
            "client-ip",
            "forwarded",
            "true-client-ip",
            "via",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-forwarded",
            "x-forwarded-client-cert",
            "x-forwarded-for",
            "x-forwarded-user",
            "x-originating-ip",
            "x-real-ip",
            "x-remote-addr",
            "x-remote-ip",
            "x-remote-user",
        ),
        _ORIGIN,
    ),
    **dict.fromkeys(("proxy-authorization", "proxy-connection", "x-upstream-authorization"), _SECRET),
}


class HeaderError(ProtocolError):
    """A header that may not be sent. `rule` is always `forbidden-header`."""

    rule = "forbidden-header"


def forwarded(headers: Headers) -> Headers:
    """The request headers to send upstream; raises HeaderError for a refused name."""
    kept = []
    for field in headers:
        name = field[0]
        if name in FORWARDED:
            kept.append(field)
        elif name.replace("_", "-") in REFUSED:  # servers behind CGI-like layers read `_` as `-`
            reason = REFUSED[name.replace("_", "-")]
            raise HeaderError(f"header `{name}` is refused: {reason}", hint=f"send the call without `{name}`")
    return tuple(kept)


def returned(headers: Headers) -> Headers:
    """The reply headers to hand to the caller: no cookies, no server names, no timings, nothing hop-by-hop."""
    return tuple([field for field in headers if field[0] in RETURNED])
