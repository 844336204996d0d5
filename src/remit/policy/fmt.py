"""Policy files in one layout: Cedar's own formatter, policy by policy, so that no comment moves to another. Pure."""

import json
import re
from typing import Final

import cedarpy

from remit.policy.snapshot import PolicyFile
from remit.policy.source import Chunk, Source, chunks
from remit.policy.syntax import syntax_error

WIDTH: Final = 80  # Cedar's own
INDENT: Final = 2

_BLANK: Final = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_REST_OF_LINE: Final = re.compile(r"[^\S\n]*(//[^\n]*)?")
_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|(//[^\n]*)', re.DOTALL)


def formatted(file: PolicyFile) -> str:
    """The file's text, laid out; itself where it is already. Raises PolicyError for what is no Cedar.

    The policies, their order and their comments stay what they are: where Cedar's formatter would make others of
    them, the file is left as it stands.
    """
    source = Source(file.name, file.text)
    made = _laid_out(source, chunks(source))
    same = _meaning(made) == _meaning(file.text) and _comments(made) == _comments(file.text)
    return made if same else file.text


def _laid_out(source: Source, found: list[Chunk]) -> str:
    """Paragraphs of comments before a policy stay apart from it; the last one goes with it."""
    parts: list[str] = []
    at = 0
    for chunk in found:
        *apart, own = _paragraphs(source.text[at : chunk.tokens[0].offset])
        end = _REST_OF_LINE.match(source.text, chunk.tokens[-1].end)
        at = end.end() if end is not None else chunk.tokens[-1].end
        text = source.text[chunk.tokens[0].offset : at]
        parts += [*apart, _one(chunk, f"{own}\n{text}" if own else text)]
    parts += [each for each in _paragraphs(source.text[at:]) if each]
    return "\n\n".join(parts) + "\n" if parts else ""


def _paragraphs(text: str) -> list[str]:
    """Comments between policies, cut at empty lines; the last, which may be empty, touches what follows."""
    pieces = [_trimmed(piece) for piece in _BLANK.split("\n" + text)]
    return [*(piece for piece in pieces[:-1] if piece), pieces[-1]]


def _trimmed(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().split("\n"))


def _one(chunk: Chunk, text: str) -> str:
    try:
        cedarpy.PolicySet.from_str(chunk.text)  # the formatter alone would not say what is wrong
        return cedarpy.format_policies(text, WIDTH, INDENT).strip()
    except ValueError as error:
        raise syntax_error(chunk, str(error)) from None


def _meaning(text: str) -> object:
    """The policies as Cedar understands them, in their order; None for what it doesn't."""
    try:
        return json.loads(cedarpy.policies_to_json_str(text))
    except ValueError:
        return None


def _comments(text: str) -> list[str]:
    """Every comment, in order."""
    return [match[1].strip() for match in _COMMENT.finditer(text) if match[1]]
