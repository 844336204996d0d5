"""The Workload API's messages (SPIFFE Workload API standard, appendix A), made at run time in a pool of their own.

SPIFFE's `workload.proto` has no package, so its names are global: in protobuf's default pool they would clash with
any other SPIFFE library in the process.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, struct_pb2

from remit.identity.proto_pool import BYTES, MANY, MAP, ONE, TEXT, Messages, Table, file_of

_STRUCT: Final = ".google.protobuf.Struct"

_MESSAGES: Final[Table] = {
    "X509SVIDRequest": (),
    "X509SVIDResponse": (
        ("svids", 1, MANY, ".X509SVID"),
        ("crl", 2, MANY, BYTES),
        ("federated_bundles", 3, MAP, BYTES),
    ),
    "X509SVID": (
        ("spiffe_id", 1, ONE, TEXT),
        ("x509_svid", 2, ONE, BYTES),
        ("x509_svid_key", 3, ONE, BYTES),
        ("bundle", 4, ONE, BYTES),
        ("hint", 5, ONE, TEXT),
    ),
    "X509BundlesRequest": (),
    "X509BundlesResponse": (("crl", 1, MANY, BYTES), ("bundles", 2, MAP, BYTES)),
    "JWTSVIDRequest": (("audience", 1, MANY, TEXT), ("spiffe_id", 2, ONE, TEXT)),
    "JWTSVIDResponse": (("svids", 1, MANY, ".JWTSVID"),),
    "JWTSVID": (("spiffe_id", 1, ONE, TEXT), ("svid", 2, ONE, TEXT), ("hint", 3, ONE, TEXT)),
    "JWTBundlesRequest": (),
    "JWTBundlesResponse": (("bundles", 1, MAP, BYTES),),
    "ValidateJWTSVIDRequest": (("audience", 1, ONE, TEXT), ("svid", 2, ONE, TEXT)),
    "ValidateJWTSVIDResponse": (("spiffe_id", 1, ONE, TEXT), ("claims", 2, ONE, _STRUCT)),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    return file_of("workload.proto", _MESSAGES, struct_pb2.DESCRIPTOR)


_POOL: Final = Messages(_file(), struct_pb2.DESCRIPTOR)


def message_type(name: str) -> Any:
    """The message class of that name; `Any`, as its fields are known at run time only."""
    return _POOL.of(name)
