"""The typed vocabulary of every policy, and the words a mistyped one may have meant."""

import difflib
import functools
import re
from importlib import resources
from typing import Final

from cedarpy import Schema

SCHEMA_TEXT: Final = resources.files(__package__).joinpath("schema.cedarschema").read_text(encoding="utf-8")
STARTER_TEXT: Final = resources.files(__package__).joinpath("starter/starter.cedar").read_text(encoding="utf-8")

_WORD = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"//[^\n]*")


@functools.cache
def schema() -> Schema:
    """The schema as Cedar's own handle."""
    return Schema.from_str(SCHEMA_TEXT)


@functools.cache
def words() -> frozenset[str]:
    """Every name the schema knows: entity types, actions, attributes."""
    return frozenset(_WORD.findall(_COMMENT.sub("", SCHEMA_TEXT)))


def nearest(word: str, known: frozenset[str] | None = None) -> str | None:
    """The known name nearest to `word`, or None where nothing is near."""
    found = difflib.get_close_matches(word, sorted(words() if known is None else known), n=1, cutoff=0.6)
    return found[0] if found and found[0] != word else None
