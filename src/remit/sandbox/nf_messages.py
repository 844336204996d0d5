"""Messages to and from nf_tables over netlink: attributes, batches, and what a listing says (linux/netfilter)."""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

# linux/netlink.h
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
_REQUEST, _CREATE, _APPEND, _DUMP = 0x1, 0x400, 0x800, 0x300
_DUMP_INTERRUPTED: Final = 0x10
_HEAD: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # length with itself, type
_TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

# linux/netfilter/nfnetlink.h, nf_tables.h
_NFGEN: Final = struct.Struct("=BBH")  # family, version, resource (big-endian)
_SUBSYSTEM: Final = 10 << 8
_NEWTABLE, _GETTABLE, _DELTABLE, _NEWCHAIN, _GETCHAIN, _NEWRULE, _GETRULE = 0, 1, 2, 3, 4, 6, 7
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
INET: Final = 1  # NFPROTO_INET: IPv4 and IPv6

_Inner = Mapping[int, "_Inner"]
_NESTED: Final[Mapping[str, _Inner]] = {"cmp": {3: {}}, "bitwise": {4: {}, 5: {}}, "immediate": {2: {2: {}}}}


@dataclass(frozen=True, slots=True)
class Expression:
    """One step of a rule, by its kernel name, with the attributes that say what it does."""

    name: str
    data: tuple[tuple[int, bytes], ...]

    def says(self, other: "Expression") -> bool:
        """Whether `other` is this step: the kernel may tell more than was given to it, never something else."""
        told = dict(other.data)
        return self.name == other.name and all(told.get(kind) == value for kind, value in self.data)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain with its rules. `hook` and `priority` are None of one that is only jumped to."""

    name: str
    rules: tuple[tuple[Expression, ...], ...]
    hook: int | None = None
    priority: int = 0


def big(number: int) -> bytes:
    """32 bits in the network's order, as most numbers of nf_tables are."""
    return struct.pack("!i" if number < 0 else "!I", number)


def attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each; raises ValueError when they are cut short."""
    at = 0
    while at + _ATTRIBUTE.size <= len(raw):
        length, kind = _ATTRIBUTE.unpack_from(raw, at)
        if not _ATTRIBUTE.size <= length <= len(raw) - at:
            raise ValueError("an attribute that is cut short")
        yield kind & _TYPE_MASK, raw[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4


def nested(given: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(attribute(kind, value) for kind, value in given)


def batch(table: str, chains: Iterable[Chain]) -> bytes:
    """All that puts `table` there with these chains alone, in place of what there was; without a chain: removes it.

    The kernel does all of a batch or none of it.
    """
    name = attribute(1, table.encode() + b"\0")
    steps = [(_NEWTABLE, _CREATE, name), (_DELTABLE, 0, name)]  # deleting one that isn't there is an error
    if every := tuple(chains):
        steps.append((_NEWTABLE, _CREATE, name))
        steps += [(_NEWCHAIN, _CREATE, name + _chain(one)) for one in every]
        steps += [(_NEWRULE, _CREATE | _APPEND, name + _rule(one.name, rule)) for one in every for rule in one.rules]
    body = b"".join(_message(_SUBSYSTEM | kind, flags, INET, 0, payload) for kind, flags, payload in steps)
    return _message(_BATCH_BEGIN, 0, 0, 10, b"") + body + _message(_BATCH_END, 0, 0, 10, b"")


def questions() -> tuple[bytes, bytes, bytes]:
    """What lists all tables, all chains and all rules of the family."""
    kinds = (_GETTABLE, _GETCHAIN, _GETRULE)
    tables, chains, rules = (_message(_SUBSYSTEM | kind, _DUMP, INET, 0, b"") for kind in kinds)
    return tables, chains, rules


def listed(answer: bytes) -> tuple[list[dict[int, bytes]], bool]:
    """The attributes of each thing in (a part of) a listing, and whether it ends here.

    Raises OSError for the kernel's refusal, or a change while it was listing.
    """
    found: list[dict[int, bytes]] = []
    at = 0
    while at + _HEAD.size <= len(answer):
        length, kind, flags, _, _ = _HEAD.unpack_from(answer, at)
        body = answer[at + _HEAD.size : at + length]
        if kind == NLMSG_ERROR and (number := struct.unpack_from("=i", body)[0]):
            raise OSError(-number, os.strerror(-number))
        if flags & _DUMP_INTERRUPTED:
            raise OSError("it changed while it was listed")
        if kind in {NLMSG_DONE, NLMSG_ERROR}:
            return found, True
        found.append(dict(attributes(body[_NFGEN.size :])))
        at += max(-(-length // 4) * 4, _HEAD.size)
    return found, False


def expressions(raw: bytes) -> tuple[Expression, ...]:
    """The steps of a rule, from its attribute."""
    found = []
    for _, element in attributes(raw):
        one = dict(attributes(element))
        name = one[1].rstrip(b"\0").decode()
        inner = _NESTED.get(name, {})
        data = tuple((kind, _plain(value, inner.get(kind))) for kind, value in attributes(one.get(2, b"")))
        found.append(Expression(name, data))
    return tuple(found)


def _plain(value: bytes, inner: _Inner | None) -> bytes:
    """Attributes in attributes, without the flag that says so: whether the kernel sets it depends on its age."""
    if inner is None:
        return value
    return nested((kind, _plain(one, inner.get(kind))) for kind, one in attributes(value))


def _chain(one: Chain) -> bytes:
    given = attribute(3, one.name.encode() + b"\0")
    if one.hook is not None:
        hook = nested([(1, big(one.hook)), (2, big(one.priority))])
        given += attribute(7, b"filter\0") + attribute(5, big(1)) + attribute(4, hook)  # its policy: accept
    return given


def _rule(chain: str, rule: Iterable[Expression]) -> bytes:
    steps = (nested([(1, one.name.encode() + b"\0"), (2, nested(one.data))]) for one in rule)
    return attribute(2, chain.encode() + b"\0") + attribute(4, nested((1, step) for step in steps))


def _message(kind: int, flags: int, family: int, resource: int, payload: bytes) -> bytes:
    body = _NFGEN.pack(family, 0, struct.unpack("=H", struct.pack("!H", resource))[0]) + payload
    return _HEAD.pack(_HEAD.size + len(body), kind, flags | _REQUEST, 0, 0) + body
