"""What Envoy is told: go on without these headers, or this refusal, in the shape that the caller's client expects."""

from collections.abc import Iterable
from typing import Any, Final

from remit.gateway.decisions.ext_authz_proto import message_type
from remit.gateway.message import Headers

_OK: Final = 0  # google.rpc.Code
_PERMISSION_DENIED: Final = 7
_OVERWRITE: Final = 2  # HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_STATUS_CODES: Final = frozenset({400, 401, 403, 404, 405, 413, 421, 429, 500, 502, 503, 504})
"""Those of envoy.type.v3.StatusCode that refusals have; Envoy takes any other for 200 OK if it is told so."""


def allowed(unsent: Iterable[str], said: Headers) -> Any:
    """Send it on without the headers `unsent`; the reply to the caller carries `said`."""
    reply = message_type("CheckResponse")()
    reply.status.code = _OK
    reply.ok_response.headers_to_remove.extend(unsent)
    _add(reply.ok_response.response_headers_to_add, said)
    return reply


def refused(status: int, body: bytes, said: Headers) -> Any:
    """Answer the caller with this; an enforcement point that opens on errors still closes on this."""
    reply = message_type("CheckResponse")()
    reply.status.code = _PERMISSION_DENIED
    reply.denied_response.status.code = status if status in _STATUS_CODES else 403
    reply.denied_response.body = body.decode()
    _add(reply.denied_response.headers, said)
    return reply


def _add(options: Any, said: Headers) -> None:
    for name, value in said:
        option = options.add(append_action=_OVERWRITE)
        option.header.key, option.header.value = name, value
