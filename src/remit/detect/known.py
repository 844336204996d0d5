"""Values that Remit itself holds or issued: found exactly, in the forms that they leave in."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_from_bytes, quote_plus

import re2

from remit.detect.catalogue import HELD
from remit.detect.finding import Label
from remit.detect.matcher import Hit, Run
from remit.errors import ConfigError

SHORTEST: Final = 8  # bytes; what is shorter stands in ordinary text by chance
ANCHOR_LENGTH: Final = 6  # characters of a form that open a stream's hold-back
BASE64_ALPHABETS: Final = (None, b"-_")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Form:
    """One spelling of a held value, as a matcher. Its text is secret."""

    text: str
    rule_id: str = HELD
    label: Label = Label.RESTRICTED
    ignore_case: bool = False
    anywhere: bool = True
    generic: bool = False

    def __repr__(self) -> str:
        return f"Form(<{len(self.text)} characters>)"

    @property
    def anchors(self) -> tuple[str, ...]:
        return (self.text[:ANCHOR_LENGTH],)

    def live(self, text: str, start: int) -> bool:
        known = len(text) - start
        return known < len(self.text) and self.text.startswith(text[start:])

    def seek(self, text: str, start: int, end: int) -> int:
        found = text.find(self.text, start, end + len(self.text) - 1)
        return end if found < 0 else found

    def match(self, text: str, start: int) -> Hit | None:
        if not text.startswith(self.text, start):
            return None
        end = start + len(self.text)
        return Hit(start, end, end, end, counts=True, grows=False)

    def follow(self, run: Run, text: str) -> bool:
        return True


class KnownValues:
    """An immutable set of held values. `plus` and `minus` make another at the cost of the change's own forms."""

    __slots__ = ("_forms", "_search", "forms")

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        self._take({value: _forms(value) for value in values})

    def __repr__(self) -> str:
        return f"KnownValues(<{len(self._forms)} values>)"

    def plus(self, value: bytes) -> "KnownValues":
        return self._with({**self._forms, value: _forms(value)})

    def minus(self, value: bytes) -> "KnownValues":
        return self._with({held: forms for held, forms in self._forms.items() if held != value})

    def present(self, text: str) -> list[Form]:
        """The forms that stand somewhere in `text`."""
        if self._search is None or not self._search.search(text.encode("utf-8", "replace")):
            return []
        return [form for form in self.forms if form.text in text]

    def _with(self, forms: dict[bytes, tuple[str, ...]]) -> "KnownValues":
        other = KnownValues()
        other._take(forms)
        return other

    def _take(self, forms: dict[bytes, tuple[str, ...]]) -> None:
        self._forms = forms
        texts = sorted({text for own in forms.values() for text in own})
        self.forms: tuple[Form, ...] = tuple(Form(text) for text in texts)
        options = re2.Options()
        options.max_mem = 64 << 20  # bytes; 1,000 values of 64 bytes take 20 MB
        options.log_errors = False  # it would print the values
        joined = "|".join(re2.escape(text) for text in texts)
        self._search = re2.compile(joined.encode(), options) if texts else None


def _forms(value: bytes) -> tuple[str, ...]:
    if len(value) < SHORTEST:
        raise ConfigError(
            f"a secret of {len(value)} bytes is too short to be removed exactly",
            hint=f"use one of at least {SHORTEST} bytes",
        )
    return tuple(dict.fromkeys((*_plain(value), *_encoded(value), *_base64(value))))


def _plain(value: bytes) -> Iterator[str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield text
    for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
        yield json.dumps(escaped)[1:-1]  # JSON in a JSON string, as tool arguments are
    yield quote_plus(text)
    yield quote(text)


def _encoded(value: bytes) -> Iterator[str]:
    percent = quote_from_bytes(value, safe="")
    every = "".join(f"%{byte:02X}" for byte in value)
    yield from (percent, _lower_escapes(percent), every, every.lower())
    yield from (value.hex(), value.hex().upper())


def _lower_escapes(percent: str) -> str:
    head, *rest = percent.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(value: bytes) -> Iterator[str]:
    """What is the same wherever the value stands in what was encoded: 3 alignments, 2 alphabets."""
    for lead in range(3):
        first = -(-lead * 8 // 6)  # characters that the bytes before it have a part in
        whole = (lead + len(value)) * 8 // 6  # what is left over depends on the byte after it
        for alphabet in BASE64_ALPHABETS:
            yield base64.b64encode(bytes(lead) + value, alphabet).decode()[first:whole]
