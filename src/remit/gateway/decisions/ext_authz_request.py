"""Envoy's CheckRequest as the gateway's own request: pure, and strict where Envoy forwards what it was sent.

Envoy sends the request on as it came, where the gateway would write it anew: so what has two readings is refused
here, and what a server must not see is named for Envoy to take out.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from remit.errors import ProtocolError
from remit.gateway.dialects.headers import FORWARDED
from remit.gateway.message import Headers, Request, header
from remit.gateway.target import parse_target
from remit.identity import SpiffeId

WORKLOAD: Final = "remit.workload"
"""The context extension that names the guarded server: set in Envoy's configuration, out of callers' reach."""

PARTIAL: Final = "x-envoy-auth-partial-body"
"""Set by Envoy beside each body that it sends: `true` when it sent only a part."""

PASSED: Final = FORWARDED | {"accept-encoding", "content-length", "content-type", "host", "x-request-id"}
"""What Envoy may send on: what the gateway sends on, and what is about the body that stays as it is."""

OWN: Final = frozenset({"x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-proto", "x-request-id"})
OWN_PREFIX: Final = "x-envoy-"
"""What Envoy says of the connection itself, or passes on: nobody's proof of anything, and no caller's mistake."""


class PointError(ProtocolError):
    """The enforcement point sends less than it takes to decide. `rule` is `enforcement-point`."""

    rule = "enforcement-point"

    def __init__(self, message: str, *, hint: str = "docs/envoy.md shows the filter's settings") -> None:
        super().__init__(message, status=403, hint=hint)


@dataclass(frozen=True, slots=True)
class Checked:
    """One request that Envoy asks about.

    `guarded` is the server that its configuration names, `principal` whom it says that it verified, by the
    certificate `certificate` (PEM) if it sends that too; both empty without client certificates. `unsent` are the
    headers that Envoy is to take out: no server behind it sees a caller's token.
    """

    guarded: SpiffeId
    principal: str
    certificate: str
    request: Request
    unsent: tuple[str, ...]

    @property
    def door(self) -> SpiffeId:
        return self.guarded

    @property
    def hosts(self) -> None:
        """Which names the server has is the point's to say."""
        return


def read_check(message: Any) -> Checked:
    """Read a CheckRequest; raises ProtocolError for a request that can't be taken, PointError for a point's mistake.

    1. which server it is for, as Envoy's configuration says
    2. the request line, by the rules of the gateway's own door
    3. all of the body, and no less than its length says
    """
    # 1
    attributes = message.attributes
    guarded = _guarded(attributes.context_extensions)
    # 2
    http = attributes.request.http
    headers = _headers(http)
    target = parse_target(http.path.encode())
    if header(headers, "upgrade") is not None:
        raise ProtocolError("`upgrade` is refused: what comes after it can't be examined", status=403)
    # 3
    body = _body(http, headers)
    request = Request(
        method=http.method,
        path=target.path,
        query=target.query,
        target=target.canonical,
        raw_target=http.path,
        headers=tuple(field for field in headers if not _envoys_own(field[0])),
        body=body,
        keep_alive=True,
        version="1.1",
    )
    unsent = tuple(dict.fromkeys(name for name, _ in headers if name not in PASSED))
    return Checked(guarded, attributes.source.principal, attributes.source.certificate, request, unsent)


def _guarded(extensions: Any) -> SpiffeId:
    named = extensions.get(WORKLOAD, "")
    if not named:
        raise PointError(f"the enforcement point does not say which server it guards (`{WORKLOAD}`)")
    return spiffe_id(named)


@lru_cache(1024)
def spiffe_id(text: str) -> SpiffeId:
    """Parsed once: an enforcement point names the same few. Raises IdentityError."""
    return SpiffeId.parse(text)


def _headers(http: Any) -> Headers:
    """Each header as it was sent (`encode_raw_headers`), else one a name, joined by commas."""
    if http.HasField("header_map"):
        return tuple(
            [
                (one.key.lower(), one.raw_value.decode("latin-1") or one.value)
                for one in http.header_map.headers
                if one.key[:1] != ":"
            ]
        )
    return tuple([(name.lower(), value) for name, value in http.headers.items() if name[:1] != ":"])


def _envoys_own(name: str) -> bool:
    return name in OWN or name.startswith(OWN_PREFIX)


def _body(http: Any, headers: Headers) -> bytes:
    """What Envoy sends on, whole and as it is; raises PointError for anything else."""
    body: bytes = http.raw_body
    if http.body:  # Envoy replaces what is no UTF-8
        raise PointError("the enforcement point sent the body as text (`pack_as_bytes` is not set)")
    if any(value != "false" for name, value in headers if name == PARTIAL):
        raise PointError("the enforcement point sent a part of the body only (`allow_partial_message` is set)")
    said = header(headers, "content-length")
    if http.size > len(body) or (said is not None and said != str(len(body))):
        raise PointError("the enforcement point did not send the body (`with_request_body` is not set)")
    return body
