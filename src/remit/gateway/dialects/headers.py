"""Which headers pass: a short list each way, and the names that are refused because they would redirect a call."""

from collections.abc import Iterable
from typing import AnyStr, Final

from remit.errors import ProtocolError

# `authorization` and `x-api-key` are in neither list: they identify the caller to the gateway and stop there; the
# lease puts Remit's own in their place. `content-type`, `content-length` and `accept-encoding` are the gateway's to
# set: it sends JSON that it wrote, and must be able to read the answer.
FORWARDED: Final = frozenset({"accept", "anthropic-beta", "anthropic-version", "openai-beta", "user-agent"})
RETURNED: Final = frozenset({"cache-control", "content-type", "retry-after"})

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


def forwarded(headers: Iterable[tuple[AnyStr, AnyStr]]) -> tuple[tuple[AnyStr, AnyStr], ...]:
    """The request headers to send upstream, names in lower case; raises HeaderError for a refused name."""
    kept = []
    for name, value in headers:
        low = _text(name)
        reason = REFUSED.get(low.replace("_", "-"))  # servers behind CGI-like layers read `_` as `-`
        if reason is not None:
            raise HeaderError(f"header `{low}` is refused: {reason}", hint=f"send the call without `{low}`")
        if low in FORWARDED:
            kept.append((name.lower(), value))
    return tuple(kept)


def returned(headers: Iterable[tuple[AnyStr, AnyStr]]) -> tuple[tuple[AnyStr, AnyStr], ...]:
    """The reply headers to hand to the caller: no cookies, no server names, no timings, nothing hop-by-hop."""
    return tuple((name.lower(), value) for name, value in headers if _text(name) in RETURNED)


def _text(name: str | bytes) -> str:
    """A header's name in lower case; the connections on either side hold names as text or as bytes."""
    return (name if isinstance(name, str) else name.decode("latin-1")).lower()
