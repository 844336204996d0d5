"""Protobuf messages made at run time from tables, each table in a pool of its own: one clashes with nothing else.

A second registration of the same names in protobuf's default pool would clash with any other library in the process.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor

_Field = descriptor_pb2.FieldDescriptorProto
Kind: TypeAlias = "_Field.Type.ValueType | str"
TEXT: Final = _Field.TYPE_STRING
BYTES: Final = _Field.TYPE_BYTES
INT32: Final = _Field.TYPE_INT32
INT64: Final = _Field.TYPE_INT64
ONE, MANY, MAP = "one", "many", "map"  # a map is from text

Table = Mapping[str, tuple[tuple[str, int, str, Kind], ...]]
"""Message -> its fields: name, number, how many, type (a message's as `.Name`)."""


def file_of(name: str, table: Table, *imports: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    """The table as a file of proto3 messages without a package."""
    file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3", dependency=[one.name for one in imports])
    for message_name, fields in table.items():
        message = file.message_type.add(name=message_name)
        for field, number, count, kind in fields:
            added = message.field.add(name=field, number=number)
            added.label = _Field.LABEL_OPTIONAL if count == ONE else _Field.LABEL_REPEATED
            _set_type(added, _map_entry(message, field, kind) if count == MAP else kind)
    return file


class Messages:
    """The message classes of one table, in a private pool."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto, *imports: FileDescriptor) -> None:
        self._pool, self._found = descriptor_pool.DescriptorPool(), dict[str, Any]()
        for one in imports:
            self._pool.AddSerializedFile(one.serialized_pb)
        self._pool.AddSerializedFile(file.SerializeToString())

    def of(self, name: str) -> Any:
        """The message class of that name; `Any`, as its fields are known at run time only."""
        found = self._found.get(name)
        if found is None:
            found = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))
            self._found[name] = found
        return found


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: Kind) -> None:
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = kind


def _map_entry(message: descriptor_pb2.DescriptorProto, field: str, kind: Kind) -> str:
    name = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=TEXT)
    _set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), kind)
    return f".{message.name}.{name}"
