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
ATOMS: Final = 2_048  # atoms in one piece
JOINED: Final = 131_072  # bytes that two pieces may have together to be joined
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
    """Texts, or atoms, one a line; as UTF-8, since one odd letter would make a str of it four times as big."""

    text: bytes
    hashes: "array[int]"

    def may_have(self, hashes: Iterable[int]) -> bool:
        return all(_stands_in(self.hashes, one) for one in hashes)

    def has_phrase(self, phrase: bytes, edges: Edges) -> bool:
        at, tries = self.text.find(phrase), 0
        while at >= 0 and tries < TRIES:
            end = at + len(phrase)
            before = self.text[max(0, at - 4) : at].decode(errors="ignore").rpartition("\n")[2]
            after = self.text[end : end + 8].decode(errors="ignore").partition("\n")[0]
            if not edges.before.search(before) and not edges.after.match(after):
                return True
            at, tries = self.text.find(phrase, at + 1), tries + 1
        return False

    @property
    def size(self) -> int:
        return len(self.text) + len(self.hashes) * self.hashes.itemsize

    def joined(self, other: "Piece") -> "Piece":
        return Piece(self.text + b"\n" + other.text, array("q", sorted({*self.hashes, *other.hashes})))


@dataclass(slots=True)
class Shelf:
    """`limit` is in bytes, of text and index together: what comes when it is full is not kept, and so not found."""

    limit: int
    size: int = 0
    full: bool = False
    texts: list[Piece] = field(default_factory=list)
    atoms: list[Piece] = field(default_factory=list)

    def put(self, text: str, atoms: Iterable[str]) -> None:
        """`text` in normal form, without line ends."""
        lines = sorted(set(atoms))
        kept = all(self._keep(self.atoms, _of_atoms(lines[at : at + ATOMS])) for at in range(0, len(lines), ATOMS))
        if not kept or not all(self._keep(self.texts, _of_text(part)) for part in _parts(text)):
            self.full = True

    def _keep(self, pieces: list[Piece], piece: Piece) -> bool:
        """Add it, and join the last two while they are of one size: many small messages are few pieces."""
        if self.size + piece.size > self.limit:
            return False
        pieces.append(piece)
        self.size += piece.size
        while len(pieces) > 1 and _alike(*pieces[-2:]):
            last, one = pieces.pop(), pieces.pop()
            pieces.append(one.joined(last))
            self.size += pieces[-1].size - one.size - last.size
        return True

    def has_phrase(self, phrase: str, edges: Edges) -> bool:
        words = _WORD.findall(phrase)
        if not words or len(phrase) > LONGEST:
            return False
        hashes, encoded = {*map(hash, words), *map(hash, pairwise(words))}, phrase.encode()
        return any(piece.may_have(hashes) and piece.has_phrase(encoded, edges) for piece in self.texts)

    def has_atom(self, atom: str) -> bool:
        one, encoded = (hash(atom),), f"\n{atom}\n".encode()
        return any(piece.may_have(one) and encoded in piece.text for piece in self.atoms)


def _alike(one: Piece, last: Piece) -> bool:
    return len(one.text) <= 2 * len(last.text) and len(one.text) + len(last.text) <= JOINED


def _parts(text: str) -> Iterable[str]:
    """Cut anywhere: a letter in the place of what was cut off, so that no part of a word seems to be a word."""
    for at in range(0, len(text), PIECE):
        end = at + PIECE + OVERLAP
        yield ("_" if at else "") + text[at:end] + ("_" if end < len(text) else "")
        if end >= len(text):
            return


def _of_text(text: str) -> Piece:
    words = _WORD.findall(text)
    return Piece(text.encode(), array("q", sorted({*map(hash, words), *map(hash, pairwise(words))})))


def _of_atoms(lines: list[str]) -> Piece:
    return Piece("\n{}\n".format("\n".join(lines)).encode(), array("q", sorted({*map(hash, lines)})))


def _stands_in(hashes: "array[int]", one: int) -> bool:
    at = bisect_left(hashes, one)
    return at < len(hashes) and hashes[at] == one
