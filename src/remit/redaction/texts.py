"""The texts of a JSON value, each with the name that stands beside it: a password is known by its name."""

from collections.abc import Iterator
from typing import Any, Final

from remit.errors import ProtocolError

MAX_STRINGS: Final = 200_000  # a 32 MiB body of short words has more; it is refused
BETWEEN: Final = '": "'
NAMED_BY: Final = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))
"""Members of which one names the other, as in a container's `env` and in lists of headers and tags."""


def beside(name: str, text: str) -> str:
    """`text` as it stands in JSON, which is how the rules know it."""
    return f'"{name}": "{text}'


def strings(value: Any) -> list[str]:
    """Every string of a JSON value, with what names it, and texts in parts as the one text that a model reads.

    Raises ProtocolError beyond MAX_STRINGS.
    """
    found: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            _members(item, found, stack)
        elif type(item) is list:
            _list(item, None, found, stack)
        elif type(item) is str:
            found.append(item)
        if len(found) > MAX_STRINGS:
            raise ProtocolError(f"the body has more than {MAX_STRINGS} strings", status=413)
    return found


def naming(item: dict[str, Any]) -> dict[str, str] | None:
    """Which member of `item` is named by another's text, and by what."""
    for by, of in NAMED_BY:
        if type(item.get(by)) is str and type(item.get(of)) is str:
            return {of: item[by]}
    return None


def named(items: list[Any], name: str | None) -> Iterator[tuple[Any, str | None]]:
    """Each item of a list that is called `name`, with its name: an option that stands before it is one."""
    before: str | None = None
    for item in items:
        yield item, (before or name) if type(item) is str else None
        before = item if type(item) is str and item.startswith("-") else None


def in_parts(items: list[Any]) -> list[int]:
    """Where the parts of a text stand that a message holds in parts, if there are several."""
    places = [at for at, one in enumerate(items) if type(one) is dict and type(one.get("text")) is str]
    return places if len(places) > 1 else []


def _members(value: dict[str, Any], found: list[str], stack: list[Any]) -> None:
    for name, item in value.items():
        if type(item) is str:
            found.append(f'"{name}": "{item}')  # as `beside` says; a call a string would show
        else:
            found.append(name)
            if type(item) is list:
                _list(item, name, found, stack)
            elif type(item) is dict:
                stack.append(item)
    if "value" in value or "Value" in value:
        found.extend(beside(own, value[of]) for of, own in (naming(value) or {}).items())


def _list(items: list[Any], name: str | None, found: list[str], stack: list[Any]) -> None:
    stack.extend(items)
    if str in map(type, items):
        found.extend(beside(called, item) for item, called in named(items, name) if called is not None)
    if len(items) > 1:
        texts = [one["text"] for one in items if type(one) is dict and "text" in one]
        if len(texts) > 1:
            found.append("".join([text for text in texts if type(text) is str]))
