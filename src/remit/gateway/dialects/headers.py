"""Which headers pass: a short list each way, and the names that are refused because they would redirect a call."""

from collections.abc import Iterable
from typing import Final

from remit.errors import ProtocolError

Header = tuple[bytes, bytes]

# `authorization` and `x-api-key` are in neither list: they identify the caller to the gateway and stop there; the
# lease puts Remit's own in their place. `content-type`, `content-length` and `accept-encoding` are the gateway's to
# set: it sends JSON that it wrote, and must be able to read the answer.
FORWARDED: Final = frozenset({b"accept", b"anthropic-beta", b"anthropic-version", b"openai-beta", b"user-agent"})
RETURNED: Final = frozenset({b"cache-control", b"content-type", b"retry-after"})

_UPSTREAM: Final = "it would choose another upstream or path"
_ORIGIN: Final = "it claims where the call came from, which the kernel says"
_SECRET: Final = "it carries a credential past the gateway"  # noqa: S105 - a reason, not a secret
REFUSED: Final[dict[bytes, str]] = {
    **dict.fromkeys(
        (
            b"x-api-base",
            b"x-base-url",
            b"x-forwarded-host",
            b"x-forwarded-path",
            b"x-forwarded-port",
            b"x-forwarded-prefix",
            b"x-forwarded-proto",
            b"x-forwarded-scheme",
            b"x-forwarded-server",
            b"x-host",
            b"x-http-host-override",
            b"x-http-method",
            b"x-http-method-override",
            b"x-method-override",
            b"x-original-host",
            b"x-original-uri",
            b"x-original-url",
            b"x-proxy-url",
            b"x-rewrite-url",
            b"x-upstream",
            b"x-upstream-url",
            b"x-envoy-original-path",
            b"x-envoy-original-dst-host",
        ),
        _UPSTREAM,
    ),
    **dict.fromkeys(
        (
            b"cf-connecting-ip",
            b"client-ip",
            b"forwarded",
            b"true-client-ip",
            b"via",
            b"x-client-ip",
            b"x-cluster-client-ip",
            b"x-forwarded",
            b"x-forwarded-client-cert",
            b"x-forwarded-for",
            b"x-forwarded-user",
            b"x-originating-ip",
            b"x-real-ip",
            b"x-remote-addr",
            b"x-remote-ip",
            b"x-remote-user",
        ),
        _ORIGIN,
    ),
    **dict.fromkeys((b"proxy-authorization", b"proxy-connection", b"x-upstream-authorization"), _SECRET),
}


class HeaderError(ProtocolError):
    """A header that may not be sent. `rule` is always `forbidden-header`."""

    rule = "forbidden-header"


def forwarded(headers: Iterable[Header]) -> list[Header]:
    """The request headers to send upstream, names in lower case; raises HeaderError for a refused name."""
    kept = []
    for name, value in headers:
        low = name.lower()
        reason = REFUSED.get(low.replace(b"_", b"-"))  # servers behind CGI-like layers read `_` as `-`
        if reason is not None:
            shown = low.decode("latin-1")
            raise HeaderError(f"header `{shown}` is refused: {reason}", hint=f"send the call without `{shown}`")
        if low in FORWARDED:
            kept.append((low, value))
    return kept


def returned(headers: Iterable[Header]) -> list[Header]:
    """The reply headers to hand to the caller: no cookies, no server names, no timings, nothing hop-by-hop."""
    return [(name.lower(), value) for name, value in headers if name.lower() in RETURNED]
