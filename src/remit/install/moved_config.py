"""A user's settings as the whole machine's: what means the same there, and where named files come to lie; pure."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.config import Places, Settings
from remit.config.load import parse
from remit.errors import StateError

LEFT: Final = ("people", "roles", "proof")  # who somebody is and what proves it, any program of theirs could write
BROUGHT: Final = "outside-ca"  # below the state's keys: only Remit's uid reads it
HEAD: Final = """\
# Remit's settings for this machine, as they were in a user's own instance. Every key: docs/configuration.md.
"""


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that the settings name: where it was, and its name among the keys."""

    path: str
    name: str


def system_text(settings: Settings) -> tuple[tuple[Brought, ...], str]:
    """The files that come along, and the text of the system's configuration."""
    default = Settings()
    kept = dataclasses.replace(settings, **{key: getattr(default, key) for key in LEFT})
    brought: tuple[Brought, ...] = ()
    if settings.authority.chain:
        named = dataclasses.asdict(settings.authority)
        brought = tuple(Brought(path, f"{key}.pem") for key, path in named.items())
        home = Places.system().state / "keys" / BROUGHT
        places = {key: str(home / f"{key}.pem") for key in named}
        kept = dataclasses.replace(kept, authority=dataclasses.replace(settings.authority, **places))
    text = HEAD + "".join(_lines(dataclasses.asdict(kept), dataclasses.asdict(default)))
    if parse(text.encode(), "the settings") != kept:
        raise StateError("these settings can't be written as the system's", hint="take what is unusual out of them")
    return brought, text


def _lines(tree: Mapping[str, Any], default: Mapping[str, Any]) -> Iterator[str]:
    """What differs from the defaults; tables last (TOML 1.0). The keys that are left out are the only odd ones."""
    for key, value in tree.items():
        if not isinstance(value, dict) and value != default[key]:
            yield f"{key} = {_value(value)}\n"
    for key, table in tree.items():
        if isinstance(table, dict) and table != default[key]:
            yield f"\n[{key}]\n"
            for name, value in table.items():
                if value != default[key].get(name):
                    yield f"{name} = {_value(value)}\n"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
