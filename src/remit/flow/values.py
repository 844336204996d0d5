"""The values of a call's arguments, each with its class."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from remit.flow.argument import DEEPEST, ArgumentClass, Value
from remit.flow.links import UNREAD, links
from remit.flow.normal import trimmed
from remit.flow.schema import named_so

MOST_VALUES: Final = 512  # of one call: beyond, one more of each class, that was seen nowhere
_SEVERAL: Final = re.compile(r"[,;\n]")
_WITH_NAME: Final = re.compile(r"[^,;<>\n]{0,256}<([^<>@\s]{1,256}@[^<>@\s]{1,256})>")


# A value nobody can have said, for what is too deep or too many to look at.
def _unread(pointer: str) -> Iterator[Value]:
    return (Value(pointer, kind, UNREAD) for kind in ArgumentClass)


def values(arguments: object, classes: Mapping[str, ArgumentClass]) -> list[Value]:
    """Of each leaf, and names that the schema doesn't know; `classes` by pointer, as `schema.classes` makes them."""
    found: list[Value] = []
    for value in _walk(arguments, "", "", classes, 0):
        found.append(value)
        if len(found) > MOST_VALUES:
            return [*found[:MOST_VALUES], *_unread("")]
    return found


def _walk(
    value: object, pointer: str, named: str, classes: Mapping[str, ArgumentClass], depth: int
) -> Iterator[Value]:
    """`named` is the place in the schema: the pointer without the numbers of a list's items."""
    if depth > DEEPEST:
        yield from _unread(pointer)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            key = str(name).replace("~", "~0").replace("/", "~1")
            if f"{named}/{key}" not in classes and named:
                yield from _leaf(str(name), f"{pointer}/{key}", _class(named, classes))
            yield from _walk(inner, f"{pointer}/{key}", f"{named}/{key}", classes, depth + 1)
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _walk(inner, f"{pointer}/{at}", named, classes, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield from _leaf(str(value), pointer, _class(named, classes))


def _class(named: str, classes: Mapping[str, ArgumentClass]) -> ArgumentClass:
    """The schema's; else by the name alone; else that of the nearest place above."""
    while named:
        if named in classes:
            return classes[named]
        named, _, name = named.rpartition("/")
        if (told := named_so(name)) is not None:
            return told
    return ArgumentClass.OTHER


def _leaf(text: str, pointer: str, kind: ArgumentClass) -> Iterator[Value]:
    if not text.strip():
        return
    if kind is ArgumentClass.RECIPIENT:
        named = _SEVERAL.split(_WITH_NAME.sub(r",\1,", text) if "<" in text else text)
        yield from (Value(pointer, kind, trimmed(part)) for part in named if trimmed(part))
        return
    yield Value(pointer, kind, text)
    if kind in {ArgumentClass.TEXT, ArgumentClass.OTHER}:
        yield from (Value(pointer, ArgumentClass.LINK, link) for link in links(text))
