"""The Workload API's messages (SPIFFE Workload API standard, appendix A), made at run time in a pool of their own.

SPIFFE's `workload.proto` has no package, so its names are global. A second registration in protobuf's default pool
would clash with any other SPIFFE library in the process; a private pool clashes with nothing.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_TEXT: Final = _Field.TYPE_STRING
_BYTES: Final = _Field.TYPE_BYTES
_STRUCT: Final = ".google.protobuf.Struct"

# name -> (field, number, type), where a type in brackets is repeated, and a map is text -> bytes.
_ONE, _MANY, _MAP = "one", "many", "map"
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str, "_Field.Type.ValueType | str"], ...]]] = {
    "X509SVIDRequest": (),
    "X509SVIDResponse": (
        ("svids", 1, _MANY, ".X509SVID"),
        ("crl", 2, _MANY, _BYTES),
        ("federated_bundles", 3, _MAP, _BYTES),
    ),
    "X509SVID": (
        ("spiffe_id", 1, _ONE, _TEXT),
        ("x509_svid", 2, _ONE, _BYTES),
        ("x509_svid_key", 3, _ONE, _BYTES),
        ("bundle", 4, _ONE, _BYTES),
        ("hint", 5, _ONE, _TEXT),
    ),
    "X509BundlesRequest": (),
    "X509BundlesResponse": (("crl", 1, _MANY, _BYTES), ("bundles", 2, _MAP, _BYTES)),
    "JWTSVIDRequest": (("audience", 1, _MANY, _TEXT), ("spiffe_id", 2, _ONE, _TEXT)),
    "JWTSVIDResponse": (("svids", 1, _MANY, ".JWTSVID"),),
    "JWTSVID": (("spiffe_id", 1, _ONE, _TEXT), ("svid", 2, _ONE, _TEXT), ("hint", 3, _ONE, _TEXT)),
    "JWTBundlesRequest": (),
    "JWTBundlesResponse": (("bundles", 1, _MAP, _BYTES),),
    "ValidateJWTSVIDRequest": (("audience", 1, _ONE, _TEXT), ("svid", 2, _ONE, _TEXT)),
    "ValidateJWTSVIDResponse": (("spiffe_id", 1, _ONE, _TEXT), ("claims", 2, _ONE, _STRUCT)),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="workload.proto", syntax="proto3", dependency=[struct_pb2.DESCRIPTOR.name]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, count, kind in fields:
            added = message.field.add(name=field, number=number)
            added.label = _Field.LABEL_OPTIONAL if count == _ONE else _Field.LABEL_REPEATED
            _set_type(added, _map_entry(message, field) if count == _MAP else kind)
    return file


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: "_Field.Type.ValueType | str") -> None:
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = kind


def _map_entry(message: descriptor_pb2.DescriptorProto, field: str) -> str:
    name = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_TEXT)
    entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_BYTES)
    return f".{message.name}.{name}"


_POOL: Final = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(_file().SerializeToString())


def message_type(name: str) -> Any:
    """The message class of that name; `Any`, as its fields are known at run time only."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))
