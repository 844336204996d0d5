"""The catalogue beside the policies: which tools, sources, destinations and credentials there are, and what they are.

`catalogue.toml`, one table a thing: `[tool."mail/send"]`, `[source.inbox]`, `[destination."example.com"]`. Pure.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from remit.errors import PolicyError
from remit.flow import ArgumentClass
from remit.policy.access import facts, pairs
from remit.policy.schema import nearest
from remit.policy.snapshot import PolicyFile
from remit.policy.thing import NAMED, RANKS, UNKNOWN, Thing, ThingKind

NAME: Final = "catalogue.toml"
MAX_THINGS: Final = 10_000
MAX_ID: Final = 512  # characters
_KINDS: Final = {kind.value.lower(): kind for kind in NAMED}
_COMMON: Final[Mapping[str, type]] = {"owner": str, "environment": str, "label": str}
OWN: Final[Mapping[ThingKind, Mapping[str, type]]] = {
    ThingKind.TOOL: {"server": str, "side_effects": bool, "classes": dict},
    ThingKind.SOURCE: {"trusted": bool},
    ThingKind.DESTINATION: {"clearance": str, "internal": bool},
    ThingKind.CREDENTIAL: {},
    ThingKind.MODEL: {"approved": bool},
    ThingKind.RESOURCE: {"facts": dict},
    ThingKind.SUBJECT: {"facts": dict},
}
_CLASSES: Final = {one.value: one for one in ArgumentClass}
_AT_LINE: Final = re.compile(r"\(at line (\d+), column (\d+)\)\Z")


def things(files: Iterable[PolicyFile]) -> tuple[Thing, ...]:
    """All that the catalogue among these files lists; raises PolicyError with the place."""
    return tuple(one for file in files if file.name == NAME for one in _listed(file))


def _listed(file: PolicyFile) -> list[Thing]:
    try:
        tree = tomllib.loads(file.text)
    except (ValueError, RecursionError) as error:  # tomllib: also integers of 4,301 digits, and deep nesting
        place = _AT_LINE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        raise PolicyError(_AT_LINE.sub("", str(error)).strip(), file=file.name, line=line, column=column) from None
    found = [_thing(file, kind, named, row) for kind, rows in tree.items() for named, row in _rows(file, kind, rows)]
    if len(found) > MAX_THINGS:
        raise _wrong(file, "", f"more than {MAX_THINGS} things")
    return found


def _rows(file: PolicyFile, kind: str, rows: Any) -> Iterable[tuple[str, Any]]:
    if kind not in _KINDS:
        raise _wrong(file, kind, f"`{kind}` is no kind of thing", _near(kind, _KINDS))
    if not isinstance(rows, dict):
        raise _wrong(file, kind, f"`{kind}` is a table of names", f'write `[{kind}."name"]`')
    return rows.items()


def _thing(file: PolicyFile, kind_name: str, named: str, row: Any) -> Thing:
    kind = _KINDS[kind_name]
    if not isinstance(row, dict):
        raise _wrong(file, named, f"`{kind_name}.{named}` is a table", f'write `[{kind_name}."{named}"]` above it')
    if not 0 < len(named) <= MAX_ID or named == UNKNOWN:
        raise _wrong(file, named, f"`{named[:40]}` can't be a name", f"1 to {MAX_ID} characters, not `{UNKNOWN}`")
    known = {**_COMMON, **OWN[kind]}
    for key, value in row.items():
        if key not in known:
            raise _wrong(file, key, f"`{kind_name}.{named}.{key}` means nothing", _near(key, known))
        if type(value) is not known[key]:
            raise _wrong(file, key, f"`{kind_name}.{named}.{key}` must be a {_TYPES[known[key]]}")
        if key in {"label", "clearance"} and value not in RANKS:
            raise _wrong(file, key, f"`{value}` is no label", "labels are " + ", ".join(RANKS))
    own: dict[str, Any] = {key: value for key, value in row.items() if key in OWN[kind]}
    if "clearance" in own:
        own["clearance"] = RANKS[own["clearance"]]
    if "facts" in own:
        own["facts"] = _facts(file, f"{kind_name}.{named}", own["facts"])
    classes = _classes(file, f"{kind_name}.{named}", own.pop("classes", {}))
    common = {key: row[key] for key in _COMMON if key in row}
    return Thing(kind, named, **common, attributes={**own, "known": True}, classes=classes)


def _classes(file: PolicyFile, where: str, said: Mapping[str, Any]) -> dict[str, ArgumentClass]:
    found = {}
    for pointer, name in said.items():
        if name not in _CLASSES:
            hint = _near(str(name), _CLASSES)
            raise _wrong(file, str(name), f"`{where}.classes`: no class is called `{name}`", hint)
        if not pointer.startswith("/"):
            raise _wrong(file, pointer, f"`{where}.classes`: `{pointer}` is no pointer", f"write `/{pointer}`")
        found[pointer] = _CLASSES[name]
    return found


def _facts(file: PolicyFile, where: str, said: Mapping[str, Any]) -> list[str]:
    try:
        return list(facts(pairs(said)))
    except ValueError as error:
        raise _wrong(file, "facts", f"`{where}.facts`: {error}") from None


_TYPES: Final = {str: "string", bool: "boolean", dict: "table"}


def _near(word: str, known: Mapping[str, Any]) -> str:
    near = nearest(word, frozenset(known))
    return f"did you mean `{near}`?" if near else "one of " + ", ".join(f"`{name}`" for name in sorted(known))


def _wrong(file: PolicyFile, word: str, message: str, hint: str = "") -> PolicyError:
    """At the first place where the word stands as one: tomllib keeps no places."""
    at = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", file.text) if word else None
    before = file.text[: at.start()] if at else ""
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return PolicyError(message, file=file.name, line=line, column=column, hint=hint)
