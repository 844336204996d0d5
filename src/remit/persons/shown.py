"""What is acted on, in full, as a person is shown it: nothing in it can hide, move or imitate; pure."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONG: Final = 200  # characters; longer values are shown whole, with their length and digest

_LOOKS_LATIN: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "LISU", "COPTIC", "DESERET"})


@dataclass(frozen=True, slots=True)
class Shown:
    """Every argument of one act, by its label. `digest` names exactly these."""

    values: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, **values: object) -> "Shown":
        """Those values, in the order they are given; a list's elements are told apart."""
        return cls(tuple((name.replace("_", " "), _text(value)) for name, value in values.items()))

    @property
    def digest(self) -> str:
        """SHA-256 of the labels and values, lower-case hex: another argument has another one."""
        return hashlib.sha256(json.dumps(self.values, separators=(",", ":")).encode()).hexdigest()

    def lines(self) -> tuple[str, ...]:
        """What a person sees, one line a value."""
        return tuple(f"{label}: {visible(value)}" for label, value in self.values)


def visible(value: str) -> str:
    """`value` with all that could deceive spelled out; a long one with its length and digest after it."""
    text = "".join(_character(one) for one in value) or "(empty)"
    foreign = tuple(_foreign(value))
    if foreign:
        text += f"  [not what they look like: {', '.join(foreign)}]"
    if len(value) > LONG:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        text += f"  [{len(value)} characters, sha256 {digest}]"
    return text


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _character(one: str) -> str:
    """Whatever is not a letter, mark on a letter, digit, sign or plain space is given by its code point."""
    if one == " " or unicodedata.category(one)[0] in "LNPS":
        return one if one != "\\" else "\\\\"
    return f"\\u{{{ord(one):04x}}}"


def _foreign(value: str) -> Iterator[str]:
    """Letters that stand beside ASCII ones or look like them, and forms that are another character's."""
    seen = set()
    for one in value:
        if one.isascii() or one in seen:
            continue
        script = unicodedata.name(one, "UNKNOWN").split()[0]
        if script in _LOOKS_LATIN or unicodedata.normalize("NFKC", one) != one:
            seen.add(one)
            yield f"{_character(one)} is U+{ord(one):04X} {unicodedata.name(one, 'unknown')}"
