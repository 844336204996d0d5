"""What a regex is slow or unable to say: whether a text is a value at all, and whether it is random enough."""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

# Code, templates and shell in the place of a value.
_OPENS_CODE: Final = frozenset("$%<&")
_CODE: Final = frozenset("{}()<>[")
_FROM_ELSEWHERE: Final = re.compile(
    r"(?i:os|env|process|self|this|config|settings|request|req|params|args|secrets|vars|var|data|local|module|input"
    r"|props|user|ctx|app|vault|string|str|none|null|undefined|true|false|required|optional|example)(?:[.:\[]|\Z)"
    r"|https?:",
    re.ASCII,
)
# Words, names and paths: what people write where nothing random stands.
_WORDS: Final = re.compile(
    r"(?:[a-z]++(?:[-_](?:[a-z]++|[0-9]{1,4}))+|[A-Za-z]++(?:[._-][A-Za-z]++)*|[*x.#-]+"
    r"|/?(?:[a-z][a-z0-9_.@-]*+/){2,}[a-z0-9_.@#-]*+|(?:[a-z_]++/)++[a-z_]++#[a-z_]++"
    r"|(?:(?:[A-Z]?[a-z]++)++[0-9]{0,5}-|[0-9]{1,5}-){2,}(?:[A-Z]?[a-z]++)++[0-9]{0,5})\Z",
    re.ASCII,
)
# Alphabets that encodings are written in: not random, for all their entropy.
_ALPHABETS: Final = (
    "0123456789abcdefghijklmnopqrstuvwxyz",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
)


ROUNDING: Final = 1e-9  # bits
TIMES_LOG: Final = (0.0, *(n * math.log2(n) for n in range(1, 128)))


def is_value(secret: str) -> bool:
    """Whether `secret` may be one: no code, template, word, path, elision or stand-in."""
    if secret[0] in _OPENS_CODE or not _CODE.isdisjoint(secret) or secret.endswith(".."):
        return False
    if _FROM_ELSEWHERE.match(secret) or _WORDS.match(secret):
        return False
    return not secret.startswith(_ALPHABETS) and not _stands_in(secret.lower())


def _stands_in(text: str) -> bool:
    """Spelt out because hostile text has it asked often: a loop takes four times as long."""
    return (
        "redacted" in text
        or "changeme" in text
        or "your-" in text
        or "your_" in text
        or "placeholder" in text
        or "example" in text
        or "dummy" in text
        or "xxxx" in text
        or "00000000" in text
    )


def random_enough(text: str, bits: float) -> bool:
    """Whether the characters of `text` have a Shannon entropy of at least `bits` a character."""
    size, kinds = len(text), set(text)
    if len(kinds) < 2**bits:
        return False
    top, longest = math.log2(size), size - len(kinds) + 1
    if top - longest * math.log2(longest) / size >= bits:  # even if all but one character stood there once
        return True
    counts = [text.count(char) for char in kinds]
    known = [TIMES_LOG[n] if n < len(TIMES_LOG) else n * math.log2(n) for n in counts]
    return top - sum(known) / size >= bits - ROUNDING


CHECKS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType({"value": is_value})
"""What a rule's `checks` may name."""
