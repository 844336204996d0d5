"""What one task has heard, by origin; and of a value, among whose words it was."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from remit.flow import atoms
from remit.flow.argument import ArgumentClass
from remit.flow.normal import loose, spaced, strict, trimmed, unescaped, visible, whole
from remit.flow.origin import HEARD, Origin
from remit.flow.shelf import COMMANDS, NAMES, WORDS, Shelf

# Bytes of text and index an origin may fill, 9 MB together: none takes the room of another.
LIMITS: Final = {
    Origin.HUMAN: 1_000_000,
    Origin.TRUSTED: 2_000_000,
    Origin.CLAIMED: 2_000_000,
    Origin.UNTRUSTED: 4_000_000,
}
MOST_HEARD: Final = 8_192  # messages whose digest is kept, so that a history sent again costs nothing
MOST_LISTED: Final = 512  # characters of an entry: longer ones are texts
LONGEST: Final = 4_000_000  # characters of one message that are looked at
_PHONE: Final = re.compile(r"[+(]?[\d ()./-]{6,24}")
_NOT_IN_PHONE: Final = re.compile(r"[+()./]")
_AMOUNT: Final = re.compile(r"\d[\d,.'\u2019]{0,30}")


@dataclass(slots=True)
class Transcript:
    """Pure, and bounded: what finds no room is not found later, which makes a value `unseen`, and never better."""

    shelves: dict[Origin, Shelf] = field(
        default_factory=lambda: {origin: Shelf(limit) for origin, limit in LIMITS.items()}
    )
    seen: set[bytes] = field(default_factory=set)

    @property
    def full(self) -> frozenset[Origin]:
        """The origins of which something was not kept."""
        return frozenset(origin for origin, shelf in self.shelves.items() if shelf.full)

    @property
    def size(self) -> int:
        return sum(shelf.size for shelf in self.shelves.values())

    def hear(self, text: str, origin: Origin) -> None:
        """One message or result: what stands in two of them is never one value."""
        shelf = self.shelves[origin]
        digest = hashlib.blake2b(f"{origin}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self.seen:
            return
        if len(self.seen) < MOST_HEARD:
            self.seen.add(digest)
        if len(text) > LONGEST:
            text, shelf.full = text[:LONGEST] + "_", True
        for form in _forms(whole(text), origin):
            shelf.put(form, atoms.atoms(form))

    def listed(self, value: str, origin: Origin) -> None:
        """One entry of a source: a name, an address, an id. It is a whole, and nothing in it is a value: so an entry
        that somebody else could name vouches for nothing but that name."""
        text = whole(value)
        if len(text) <= MOST_LISTED and (entry := _entry(text, origin)):
            forms = {form(entry) for form in (atoms.entry, atoms.url, atoms.mail, atoms.account, atoms.path)}
            self.shelves[origin].put("", [one for one in forms if not self.shelves[origin].has_atom(one)])

    def origins(self, value: str, kind: ArgumentClass) -> frozenset[Origin]:
        """Where `value` was heard, as a whole: a part of a word, an address or a URL is not that word."""
        text = whole(value)
        exact, alike = trimmed(strict(text)), spaced(loose(text))
        return frozenset(
            origin
            for origin in HEARD
            if _stands_on(self.shelves[origin], alike if origin is Origin.UNTRUSTED else exact, kind)
        )


def _entry(text: str, origin: Origin) -> str:
    return spaced(loose(text) if origin is Origin.UNTRUSTED else strict(text))


def _forms(text: str, origin: Origin) -> Iterator[str]:
    """A text as it stands, and as what it is where it is the inside of a JSON string."""
    form = loose if origin is Origin.UNTRUSTED else strict
    yield spaced(form(visible(text)))
    if "\\" in text and (plain := whole(unescaped(text))) != text:
        yield spaced(form(visible(plain)))


def _stands_on(shelf: Shelf, value: str, kind: ArgumentClass) -> bool:
    if shelf.has_atom(atoms.entry(value.lstrip("@#") if kind is ArgumentClass.RECIPIENT else value)):
        return True
    looks = _LOOKS.get(kind)
    return looks(shelf, value) if looks else shelf.has_phrase(value, WORDS)


def _urls(shelf: Shelf, value: str) -> bool:
    return shelf.has_atom(atoms.url(value))


def _accounts(shelf: Shelf, value: str) -> bool:
    return shelf.has_atom(atoms.account(value)) or shelf.has_phrase(value, NAMES)


def _paths(shelf: Shelf, value: str) -> bool:
    place = atoms.path(value)
    return shelf.has_atom(place) if "/" in place else shelf.has_phrase(place.removeprefix("p "), NAMES)


def _amounts(shelf: Shelf, value: str) -> bool:
    return shelf.has_atom(atoms.number(value)) if _AMOUNT.fullmatch(value) else shelf.has_phrase(value, WORDS)


def _commands(shelf: Shelf, value: str) -> bool:
    return shelf.has_phrase(value, COMMANDS)


def _names(shelf: Shelf, value: str) -> bool:
    """A person, a channel, an address, a number to call."""
    if "@" in value[1:]:
        return shelf.has_atom(atoms.mail(value))
    if _PHONE.fullmatch(value):
        return shelf.has_atom(atoms.account(_NOT_IN_PHONE.sub("", value)))
    if "://" in value or value.startswith("www."):
        return shelf.has_atom(atoms.url(value))
    return shelf.has_phrase(value.lstrip("@#"), NAMES)


_LOOKS: Final[Mapping[ArgumentClass, Callable[[Shelf, str], bool]]] = {
    ArgumentClass.URL: _urls,
    ArgumentClass.LINK: _urls,
    ArgumentClass.RECIPIENT: _names,
    ArgumentClass.ACCOUNT: _accounts,
    ArgumentClass.PATH: _paths,
    ArgumentClass.AMOUNT: _amounts,
    ArgumentClass.COMMAND: _commands,
}
