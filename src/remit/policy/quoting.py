"""Any text as a string of Cedar's, so that nothing in it can end the string."""

from typing import Final

_PLAIN: Final = frozenset(" !#$%&()*+,-./:;<=>?@[]^_`{|}~")


def quoted(text: str) -> str:
    """`text` between quotes, all but plain ASCII as `\\u{…}`. Half of a surrogate pair is no text: U+FFFD."""
    return '"' + "".join(_character(one) for one in text) + '"'


def _character(one: str) -> str:
    if (one.isascii() and one.isalnum()) or one in _PLAIN:
        return one
    return f"\\u{{{0xFFFD if 0xD800 <= ord(one) <= 0xDFFF else ord(one):x}}}"
