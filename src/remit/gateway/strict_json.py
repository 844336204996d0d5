"""Strict JSON (RFC 8259) for bodies from outside: a text has one meaning here and in the server behind, or none."""

import json
import re
from collections.abc import Iterator
from math import isinf
from typing import NoReturn, TypeAlias

import orjson

from remit.errors import ProtocolError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_DEPTH = 64
"""Nested objects and arrays. Tool schemas in use stay under 20; Go stops at 10,000, Python near 1,000."""

INTEGERS = range(-(2**63), 2**64)
"""What 64 bits hold, with a sign or without: the widest integers that a model server's schema takes."""

MAX_INT_DIGITS = 20
"""Digits of the largest of them."""

_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Json:
    """The value of `body`, or `ProtocolError` saying what is wrong and where.

    Refused beyond RFC 8259: a BOM, duplicate keys (also top-level keys that differ only in case, which Go's decoder
    takes for the same field), numbers that are not finite or too long, nesting over `MAX_DEPTH`, lone surrogates.
    """
    try:
        value: Json = _DECODER.decode(_text(body))
    except json.JSONDecodeError as error:
        raise _bad(f"{_plain(error.msg)} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _bad(f"more than {MAX_DEPTH} levels of nesting") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _refuse_depth(value)
    if _ESCAPED_SURROGATE.search(body):
        _refuse_lone_surrogates(value)
    if isinstance(value, dict):
        refuse_case_twins(value)
    return value


def read(body: bytes) -> Json:
    """As `parse`, ten times as fast, for what is written anew anyway: of keys that stand twice the last counts."""
    if _LONG_NUMBER.search(body) is not None:
        return parse(body)
    try:
        value: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        return parse(body)  # it says what is wrong, and where
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _refuse_depth(value)
    return value


def dump(value: Json) -> bytes:
    """`value`, as `parse` gives it, as compact UTF-8. Raises `ProtocolError` for what UTF-8 can't carry."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ProtocolError(f"this value can't be written as json: {error}", status=500) from None


def refuse_case_twins(fields: dict[str, Json]) -> None:
    """Refuses keys of one object that differ only in case: `Model` beside `model` is one field to Go's decoder."""
    if len({key.casefold() for key in fields}) == len(fields):
        return
    seen: dict[str, str] = {}
    for key in fields:
        twin = seen.setdefault(key.casefold(), key)
        if twin != key:
            raise _bad(f"the keys `{_shown(twin)}` and `{_shown(key)}` differ only in case")


def _text(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        raise _bad("a byte order mark at byte 0")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _bad(f"invalid utf-8 at byte {error.start}") from None


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        _refuse_duplicate(pairs)
    return fields


def _refuse_duplicate(pairs: list[tuple[str, Json]]) -> NoReturn:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _bad(f"the key `{_shown(key)}` stands twice in one object")
        seen.add(key)
    raise AssertionError("unreachable: called only with a duplicate")


def _integer(digits: str) -> int:
    if len(digits) - digits.startswith("-") > MAX_INT_DIGITS or (number := int(digits)) not in INTEGERS:
        raise _bad(f"the number `{_shown(digits)}` is beyond 64 bits")
    return number


def _number(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise _bad(f"the number `{_shown(digits)}` is too large")
    return value


def _constant(word: str) -> NoReturn:
    raise _bad(f"`{word}` is not a json number")


def _refuse_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise _bad(f"more than {MAX_DEPTH} levels of nesting")


def _children(item: Json) -> list[Json]:
    if isinstance(item, dict):
        return list(item.values()) or [None]
    if isinstance(item, list):
        return item or [None]
    return []


def _refuse_lone_surrogates(value: Json) -> None:
    if _encodable(_ENCODER.encode(value)):
        return
    for path, leaf in _walk(value):
        for text in (leaf, path[-1] if path else None):
            if isinstance(text, str) and not _encodable(text):
                raise _bad(f"a lone surrogate in `{_place(path)}`")


def _walk(value: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    stack: list[tuple[tuple[str | int, ...], Json]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            stack.extend(((*path, key), child) for key, child in item.items())
        elif isinstance(item, list):
            stack.extend(((*path, index), child) for index, child in enumerate(item))
        yield path, item


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _place(path: tuple[str | int, ...]) -> str:
    return ".".join(_shown(str(step)) for step in path) or "the whole body"


def _shown(text: str) -> str:
    """A caller's own word, short and printable, for an error message."""
    short = text if len(text) <= 40 else text[:40] + "…"
    return short.encode("ascii", "backslashreplace").decode().replace("`", "'")


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _bad(what: str) -> ProtocolError:
    return ProtocolError(f"the body is not acceptable json: {what}", hint="send one strict RFC 8259 value in UTF-8")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)
