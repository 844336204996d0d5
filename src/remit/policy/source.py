"""Cedar source text as tokens with offsets: Cedar's parse errors carry none, so Remit keeps its own."""

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from remit.errors import PolicyError

# Cedar's own token classes (cedar-policy-core, text_to_cst.lalrpop); a comment runs to the end of its line.
_TOKEN: Final = re.compile(
    r'(?P<space>[^\S\n]+|\n|//[^\n]*)|(?P<word>[_a-zA-Z][_a-zA-Z0-9]*)|(?P<number>[0-9]+)|(?P<string>"(?:\\.|[^"\\])*")'
    r"|(?P<slot>\?[_a-zA-Z][_a-zA-Z0-9]*)|(?P<mark>::|==|!=|<=|>=|&&|\|\||[@.,;:(){}\[\]<>+\-*/%!=?])",
    re.DOTALL,
)


# Cedar's parser recurses: beyond about 1,000 levels it overflows the stack and takes the process with it
# (measured on an 8 MiB stack: 1,000 parentheses, 2,000 operators). Remit refuses long before.
MAX_DEPTH: Final = 64
MAX_OPERATORS: Final = 500

_DEEPER: Final = frozenset({"(", "[", "{"})
_SHALLOWER: Final = frozenset({")", "]", "}"})
_OPERATORS: Final = frozenset({"&&", "||", "+", "-", "*", "/", "%", "!", ".", "[", "if", "has", "in", "is", "like"})


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `kind` is word, number, string, slot or mark; `offset` is in characters from the file's start."""

    kind: str
    text: str
    offset: int

    @property
    def end(self) -> int:
        return self.offset + len(self.text)


@dataclass(frozen=True, slots=True)
class Source:
    """One policy file's text, able to say where an offset stands."""

    name: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = (0, *(match.end() for match in re.finditer("\n", self.text)))
        object.__setattr__(self, "_starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based (line, column) of a character offset."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def error(self, message: str, offset: int, *, hint: str = "") -> PolicyError:
        """A PolicyError that points at `offset`."""
        line, column = self.position(offset)
        return PolicyError(message, file=self.name, line=line, column=column, hint=hint)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tokens of one policy, its `;` last (absent only where the file ends without one)."""

    source: Source
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        return self.source.text[self.tokens[0].offset : self.tokens[-1].end]

    @property
    def closed(self) -> bool:
        return self.tokens[-1].text == ";"

    def effect_offset(self) -> int:
        """Where `permit` or `forbid` stands: a policy's line is this one, below its annotations."""
        for before, token in zip((None, *self.tokens), self.tokens, strict=False):
            if token.text in {"permit", "forbid"} and (before is None or before.text != "@"):
                return token.offset
        return self.tokens[0].offset

    def find(self, fragment: str) -> int | None:
        """The offset of the first run of tokens that spells `fragment`, if there is one."""
        wanted = [token.text for token in lex_leniently(fragment)]
        if not wanted:
            return None
        texts = [token.text for token in self.tokens]
        for at in range(len(texts) - len(wanted) + 1):
            if texts[at : at + len(wanted)] == wanted:
                return self.tokens[at].offset
        return None


def lex(source: Source) -> list[Token]:
    """All tokens of a file; raises PolicyError at the first character that begins none."""
    found, at = [], 0
    while at < len(source.text):
        match = _TOKEN.match(source.text, at)
        if match is None:
            raise source.error(_complaint(source.text, at), at)
        if match.lastgroup != "space" and match.lastgroup is not None:
            found.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    return found


def lex_leniently(text: str) -> Iterator[Token]:
    """The tokens of a fragment out of an error message, leaving out what is none."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space" and match.lastgroup is not None:
            yield Token(match.lastgroup, match.group(), match.start())


def chunks(source: Source) -> list[Chunk]:
    """The file cut into policies: `;` stands nowhere in Cedar but at a policy's end."""
    found: list[Chunk] = []
    current: list[Token] = []
    for token in lex(source):
        current.append(token)
        if token.text == ";":
            found.append(Chunk(source, tuple(current)))
            current = []
    if current:
        found.append(Chunk(source, tuple(current)))
    for chunk in found:
        _within_budget(chunk)
    return found


def _within_budget(chunk: Chunk) -> None:
    """Raises PolicyError for a policy that is nested or chained beyond what Cedar's parser survives."""
    depth = operators = 0
    for token in chunk.tokens:
        depth += (token.text in _DEEPER) - (token.text in _SHALLOWER)
        operators += token.text in _OPERATORS
        if depth > MAX_DEPTH:
            raise chunk.source.error(f"more than {MAX_DEPTH} brackets inside each other", token.offset)
        if operators > MAX_OPERATORS:
            hint = "write it as several policies, or with a set"
            raise chunk.source.error(f"more than {MAX_OPERATORS} operators in one policy", token.offset, hint=hint)


def texts(found: Sequence[Chunk]) -> str:
    """Policies as one Cedar text, in order: Cedar numbers them `policy0`, `policy1`, …"""
    return "\n".join(chunk.text for chunk in found)


def _complaint(text: str, at: int) -> str:
    if text[at] == '"':
        return "this string is never closed"
    return f"{text[at]!r} can't stand here"
