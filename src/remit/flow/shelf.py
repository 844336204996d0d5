"""Everything that was heard from one origin, in pieces with an index each: is this phrase or atom in it?

The index is a filter: sorted hashes of words, of neighbouring words, and of atoms. What passes it is looked for in
the text, so an answer is exact and doesn't hang on how this process hashes.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

PIECE: Final = 32_768  # characters of text in one piece
OVERLAP: Final = 4_096  # characters that the next piece repeats: a phrase up to this length is whole in one of them
LONGEST: Final = OVERLAP - 64  # characters of a phrase that is looked for
ATOMS: Final = 4_096  # atoms in one piece
TRIES: Final = 64  # places a phrase is looked at in one piece, before it is taken for not being there
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Edges:
    """What may not stand directly before and after a phrase, or the phrase is part of something longer."""

    before: re.Pattern[str]
    after: re.Pattern[str]


WORDS: Final = Edges(re.compile(r"\w$"), re.compile(r"\w"))
NAMES: Final = Edges(re.compile(r"[\w./\\+-]$|\w@$"), re.compile(r"[\w@/\\+-]|\.\w"))
# A command that was quoted, or is a whole message: one that only begins like it does something else.
COMMANDS: Final = Edges(re.compile(r"[^`\"'(\s]\s?$|\S\s$"), re.compile(r"\s?[^`\"').!?\s]|[.!?]\S"))


@dataclass(frozen=True, slots=True)
class Piece:
    text: bytes  # as UTF-8: one odd letter would make a str of it four times as big
    atoms: bytes
    hashes: "array[int]"

    def may_have(self, hashes: Iterable[int]) -> bool:
        return all(_stands_in(self.hashes, one) for one in hashes)

    def has_phrase(self, phrase: bytes, edges: Edges) -> bool:
        at, tries = self.text.find(phrase), 0
        while at >= 0 and tries < TRIES:
            end = at + len(phrase)
            before = self.text[max(0, at - 4) : at].decode(errors="ignore")
            after = self.text[end : end + 8].decode(errors="ignore")
            if not edges.before.search(before) and not edges.after.match(after):
                return True
            at, tries = self.text.find(phrase, at + 1), tries + 1
        return False

    @property
    def size(self) -> int:
        return len(self.text) + len(self.atoms) + len(self.hashes) * self.hashes.itemsize


@dataclass(slots=True)
class Shelf:
    """`limit` is in bytes, of text and index together: what comes when it is full is not kept, and so not found."""

    limit: int
    size: int = 0
    full: bool = False
    pieces: list[Piece] = field(default_factory=list)

    def put(self, text: str, atoms: Iterable[str]) -> None:
        """`text` in normal form, without line ends."""
        lines = sorted(set(atoms))
        kept = all(self._keep(_piece("", lines[at : at + ATOMS])) for at in range(0, len(lines), ATOMS))
        if not kept or not all(self._keep(_piece(part, [])) for part in _parts(text)):
            self.full = True

    def _keep(self, piece: Piece) -> bool:
        if self.size + piece.size > self.limit:
            return False
        self.pieces.append(piece)
        self.size += piece.size
        return True

    def has_phrase(self, phrase: str, edges: Edges) -> bool:
        words = _WORD.findall(phrase)
        if not words or len(phrase) > LONGEST:
            return False
        hashes, encoded = {*map(hash, words), *map(hash, _pairs(words))}, phrase.encode()
        return any(piece.may_have(hashes) and piece.has_phrase(encoded, edges) for piece in self.pieces)

    def has_atom(self, atom: str) -> bool:
        line = f"\n{atom}\n"
        one, encoded = (hash(line),), line.encode()
        return any(piece.may_have(one) and encoded in piece.atoms for piece in self.pieces)


def _parts(text: str) -> Iterable[str]:
    """Cut anywhere: a letter in the place of what was cut off, so that no part of a word seems to be a word."""
    for at in range(0, len(text), PIECE):
        end = at + PIECE + OVERLAP
        yield ("_" if at else "") + text[at:end] + ("_" if end < len(text) else "")
        if end >= len(text):
            return


def _piece(text: str, atoms: list[str]) -> Piece:
    words = _WORD.findall(text)
    hashes = {*map(hash, words), *map(hash, _pairs(words)), *(hash(f"\n{atom}\n") for atom in atoms)}
    lines = "\n" + "".join(f"{atom}\n" for atom in atoms)
    return Piece(text.encode(), lines.encode() if atoms else b"", array("q", sorted(hashes)))


def _pairs(words: list[str]) -> Iterable[tuple[str, str]]:
    return pairwise(words)


def _stands_in(hashes: "array[int]", one: int) -> bool:
    at = bisect_left(hashes, one)
    return at < len(hashes) and hashes[at] == one
