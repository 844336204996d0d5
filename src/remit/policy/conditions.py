"""A policy's conditions one by one, as they stand in its file: what must be so, each with its line. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from remit.policy.policy_set import Policy
from remit.policy.source import Source, Token, lex

_OPEN: Final = frozenset({"(", "[", "{"})
_CLOSE: Final = frozenset({")", "]", "}"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One expression that must be true, in Cedar, on one line; `line` is where it begins in the policy's file."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """`scope` is the policy up to them, as `permit (principal, action, resource)`."""

    scope: str
    each: tuple[Condition, ...]


def conditions(policy: Policy) -> Conditions:
    """`when { a && b }` is two; `unless { a || b }` as well, each the other way round."""
    source = Source(policy.ref.file, policy.text)
    tokens = lex(source)
    start = next(at for at, token in _outer(tokens) if token.text == policy.effect and _no_note(tokens, at))
    above = source.position(tokens[start].offset)[0]
    end = next(at for at, token in enumerate(tokens) if at > start and token.text == ")" and _level(tokens, at) == 0)
    found = []
    for at, clause in _outer(tokens):
        if at > end and clause.text in {"when", "unless"}:
            for part in _parts(_body(tokens, at + 1), "&&" if clause.text == "when" else "||"):
                text = _one_line(part)
                line = policy.ref.line + source.position(part[0].offset)[0] - above
                found.append(Condition(text if clause.text == "when" else f"!({text})", line))
    return Conditions(_one_line(tokens[start : end + 1]), tuple(found))


def _outer(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Those that stand in no brackets."""
    level = 0
    for at, token in enumerate(tokens):
        level -= token.text in _CLOSE
        if level == 0:
            yield at, token
        level += token.text in _OPEN


def _level(tokens: Sequence[Token], at: int) -> int:
    """How many brackets are open after this token."""
    return sum((token.text in _OPEN) - (token.text in _CLOSE) for token in tokens[: at + 1])


def _no_note(tokens: Sequence[Token], at: int) -> bool:
    return at == 0 or tokens[at - 1].text != "@"


def _body(tokens: Sequence[Token], brace: int) -> Sequence[Token]:
    """What stands in the braces that open at `brace`."""
    end = next(at for at in range(brace + 1, len(tokens)) if _level(tokens[brace:], at - brace) == 0)
    return tokens[brace + 1 : end]


def _parts(body: Sequence[Token], joint: str) -> list[Sequence[Token]]:
    """Cut at each `joint` that binds the least: `if` reaches to the end, and `||` binds less than `&&`."""
    outer = list(_outer(body))
    whole = any(token.text == "if" and token.kind == "word" for _, token in outer)
    if whole or (joint == "&&" and any(token.text == "||" for _, token in outer)):
        return [body]
    cuts = [-1, *(at for at, token in outer if token.text == joint), len(body)]
    return [body[one + 1 : other] for one, other in itertools.pairwise(cuts)]


def _one_line(tokens: Sequence[Token]) -> str:
    """As it was written, comments and line ends apart."""
    made = ""
    for before, token in zip((None, *tokens), tokens, strict=False):
        gap = before is not None and token.offset > before.end
        made += (" " if gap else "") + token.text
    return made
