"""The messages of Envoy's external authorization (envoy.service.auth.v3), as far as they are read or written here.

What is left out is skipped by its number. Sources: envoy's api/envoy/service/auth/v3/external_auth.proto and
attribute_context.proto, config/core/v3/base.proto, google/rpc/status.proto. Nested messages stand beside each other:
names are not on the wire.
"""

from typing import Any, Final

from remit.identity.proto_pool import BYTES, INT32, INT64, MANY, MAP, ONE, TEXT, Messages, Table, file_of

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"

_MESSAGES: Final[Table] = {
    "CheckRequest": (("attributes", 1, ONE, ".AttributeContext"),),
    "AttributeContext": (
        ("source", 1, ONE, ".Peer"),
        ("request", 4, ONE, ".Request"),
        ("context_extensions", 10, MAP, TEXT),
    ),
    "Peer": (("principal", 4, ONE, TEXT), ("certificate", 5, ONE, TEXT)),
    "Request": (("http", 2, ONE, ".HttpRequest"),),
    "HttpRequest": (
        ("method", 2, ONE, TEXT),
        ("headers", 3, MAP, TEXT),
        ("path", 4, ONE, TEXT),
        ("host", 5, ONE, TEXT),
        ("size", 9, ONE, INT64),
        ("protocol", 10, ONE, TEXT),
        ("body", 11, ONE, TEXT),
        ("raw_body", 12, ONE, BYTES),
        ("header_map", 13, ONE, ".HeaderMap"),
    ),
    "HeaderMap": (("headers", 1, MANY, ".HeaderValue"),),
    "HeaderValue": (("key", 1, ONE, TEXT), ("value", 2, ONE, TEXT), ("raw_value", 3, ONE, BYTES)),
    "CheckResponse": (
        ("status", 1, ONE, ".Status"),
        ("denied_response", 2, ONE, ".DeniedHttpResponse"),
        ("ok_response", 3, ONE, ".OkHttpResponse"),
    ),
    "Status": (("code", 1, ONE, INT32), ("message", 2, ONE, TEXT)),
    "DeniedHttpResponse": (
        ("status", 1, ONE, ".HttpStatus"),
        ("headers", 2, MANY, ".HeaderValueOption"),
        ("body", 3, ONE, TEXT),
    ),
    "HttpStatus": (("code", 1, ONE, INT32),),
    "HeaderValueOption": (("header", 1, ONE, ".HeaderValue"), ("append_action", 3, ONE, INT32)),
    "OkHttpResponse": (
        ("headers_to_remove", 5, MANY, TEXT),
        ("response_headers_to_add", 6, MANY, ".HeaderValueOption"),
    ),
}

_POOL: Final = Messages(file_of("ext_authz.proto", _MESSAGES))


def message_type(name: str) -> Any:
    """The message class of that name; `Any`, as its fields are known at run time only."""
    return _POOL.of(name)
