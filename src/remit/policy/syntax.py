"""Where a policy goes wrong: Cedar names the offending token, not its place, so the place is found here."""

import re
from typing import Final

import cedarpy

from remit.errors import PolicyError
from remit.policy.schema import nearest
from remit.policy.source import Chunk, Token

_QUOTED: Final = re.compile(r"`([^`]+)`")
_LAST_WORD: Final = re.compile(r": ([^\s:]+)$")
_UNEXPECTED: Final = "unexpected token `"
_KEYWORDS: Final = frozenset(
    {"permit", "forbid", "when", "unless", "principal", "action", "resource", "context", "has"}
)


def syntax_error(chunk: Chunk, message: str) -> PolicyError:
    """The error for a policy that Cedar's parser refused with `message`, at the token that it refused."""
    if message.startswith(("unexpected token", "unexpected end of input")):
        return _unexpected(chunk)
    fragment = named_in(message)
    at = chunk.find(fragment) if fragment else None
    if at is None:
        at = _too_large(chunk) if "integer" in message else None
    return chunk.source.error(
        message, chunk.effect_offset() if at is None else at, hint=suggestion(fragment, _KEYWORDS) if fragment else ""
    )


def schema_error(chunk: Chunk, messages: list[str]) -> PolicyError:
    """The error for a policy that parses but does not fit the schema: the first message that can be placed."""
    shown = [re.sub(r"^for policy `policy\d+`, ", "", message) for message in messages]
    for message in shown:
        fragment = named_in(message)
        at = chunk.find(fragment) if fragment else None
        if fragment and at is not None:
            return chunk.source.error(message, at, hint=suggestion(fragment, None))
    return chunk.source.error(shown[0], chunk.effect_offset())


def named_in(message: str) -> str:
    """The piece of the user's text that a message of Cedar's speaks of, or empty."""
    match = _QUOTED.search(message) or _LAST_WORD.search(message)
    return match[1] if match else ""


def suggestion(fragment: str, known: frozenset[str] | None) -> str:
    """`did you mean …` for a fragment such as `ownr` or `Action::"infr"`, or empty."""
    kind, separator, name = fragment.partition("::")
    near = nearest(name.strip('"') if separator else kind, known)
    if near is None:
        return ""
    return f'did you mean `{kind}::"{near}"`?' if separator else f"did you mean `{near}`?"


def _unexpected(chunk: Chunk) -> PolicyError:
    """Find the first token that no policy could have there.

    Cedar's parser recovers at `;`: for the first n tokens and a `;` it complains of that `;` while they could
    still become a policy, and of the offending token once that is among them. So n is found by bisection.
    """
    low, high = 0, len(chunk.tokens)
    while low < high:
        middle = (low + high) // 2
        if _blames_semicolon(chunk, middle + 1):
            low = middle + 1
        else:
            high = middle
    if low == len(chunk.tokens):
        return chunk.source.error("the policy ends too early", chunk.tokens[-1].end, hint="a policy ends with `;`")
    return _refused_token(chunk, low)


def _refused_token(chunk: Chunk, index: int) -> PolicyError:
    token = chunk.tokens[index]
    before = chunk.tokens[index - 1] if index else None
    if before is not None and before.text in {"permit", "forbid"} and index > 1:
        return chunk.source.error(
            f"`{before.text}` can't stand here", before.offset, hint="is a `;` missing before it?"
        )
    if token.text == ";":
        return chunk.source.error("the policy ends too early: `;` is unexpected here", token.offset)
    return chunk.source.error(f"`{token.text}` is unexpected here", token.offset)


def _blames_semicolon(chunk: Chunk, count: int) -> bool:
    """Whether the first `count` tokens could still become a policy."""
    head = chunk.tokens[:count]
    if head[-1].text == ";":
        return False
    start = chunk.tokens[0].offset
    text = chunk.source.text[start : head[-1].end] + "\n;"
    try:
        cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        message = str(error)
        return not message.startswith(_UNEXPECTED) or message.startswith(_UNEXPECTED + ";`")
    return True


def _too_large(chunk: Chunk) -> int | None:
    """The first integer beyond Cedar's 64 bits."""
    return next((token.offset for token in chunk.tokens if _beyond_long(token)), None)


def _beyond_long(token: Token) -> bool:
    return token.kind == "number" and int(token.text[:20]) > 2**63 - 1
