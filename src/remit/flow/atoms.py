"""What of a text is a destination or a number, each in one canonical spelling: URLs, addresses, accounts, paths.

Both sides are spelled so, what was heard and the value of an argument: it equals what somebody wrote, or it doesn't.
`evil.example` is not found in `evil.example.org`, nor `https://good.example?x=1` in `https://good.example`.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from remit.flow.normal import spelled

LONGEST: Final = 2048  # characters of one atom: the longest URL that browsers agree to take
LEAST_DIGITS: Final = 6  # shorter ones are found as words
MOST_DIGITS: Final = 34  # ISO 13616: the longest IBAN

_URL: Final = re.compile(r"(?:\b[a-z][a-z0-9+.-]{0,15}://|\bwww\.)[^\s<>\"'`|\\^{}]{1,2048}")
_HOST: Final = re.compile(
    r"(?<![\w@./%:-])(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}(?::\d{1,5})?(?:[/?#][^\s<>\"'`|\\^{}]{0,2048})?(?![\w@-])"
)
_MAIL: Final = re.compile(
    r"(?<![\w.!#$%&*+/=?^{|}~@-])[\w.!#$%&*+/=?^{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}(?![\w@-]|\.\w)"
)
_GROUP: Final = r"[a-z]{0,2}\d[a-z0-9]{0,33}"
_ACCOUNT: Final = re.compile(rf"(?<![\w-]){_GROUP}(?:[ -](?:[a-z]{{4}}|{_GROUP})){{0,11}}(?![\w-])")
_PATH: Final = re.compile(
    r"(?<![\w/~.-])(?:~|\.{1,2})?/[^\s<>\"'`|:;,*?]{1,1024}|(?<![\w/~.@-])[\w.-]{1,255}(?:/[\w.@+-]{1,255}){1,32}"
)
_NUMBER: Final = re.compile(r"(?<![\w.,])\d[\d,.'\u00a0\u2019]{0,30}(?![\w])")
_TRAILING: Final = ".,;:!?)]}'\""
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,15}://")
_DEFAULT_PORT: Final = re.compile(r"^([^/?#]*?):(?:443|80)(?=[/?#]|$)")
_PERCENT: Final = re.compile(r"%[0-9a-f]{2}")
_UNRESERVED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


def atoms(text: str) -> Iterator[str]:
    """Of a text that is `strict` or `loose`, and `spaced`; may yield one more than once."""
    text = spelled(text)
    for found in _URL.finditer(text):
        yield url(found[0].rstrip(_TRAILING))
    for found in _HOST.finditer(text):
        yield url(found[0].rstrip(_TRAILING))
    if "@" in text:
        yield from (mail(found[0]) for found in _MAIL.finditer(text))
    for found in _ACCOUNT.finditer(text):
        yield from _accounts(found[0])
    if "/" in text:
        yield from (path(found[0].rstrip(_TRAILING)) for found in _PATH.finditer(text))
    yield from (number(found[0]) for found in _NUMBER.finditer(text))


def entry(value: str) -> str:
    """A whole entry of a list, as it stands."""
    return f"e {value}"


def url(value: str) -> str:
    """RFC 3986, 6.2.2 and 6.2.3, with http and https taken for the same; what stands before an `@` is kept."""
    value = spelled(value)
    scheme = _SCHEME.match(value)
    rest = value[scheme.end() :] if scheme else value
    named = scheme[0] if scheme and scheme[0] not in {"https://", "http://"} else ""
    rest = _DEFAULT_PORT.sub(r"\1", _PERCENT.sub(_unreserved, rest))
    host, slash, tail = rest.partition("/")
    tail = tail.removesuffix("#")
    return f"u {named}{host.rstrip('.')}{slash + tail if tail else ''}"


def _unreserved(found: re.Match[str]) -> str:
    byte = unquote_to_bytes(found[0])
    return byte.decode("ascii").lower() if byte[0] in _UNRESERVED else found[0]


def mail(value: str) -> str:
    return f"m {spelled(value.removeprefix('mailto:'))}"


def account(value: str) -> str:
    return f"a {value.replace(' ', '').replace('-', '')}"


def path(value: str) -> str:
    value = value.replace("\\", "/")
    return f"p {posixpath.normpath(value).replace('//', '/')}"


def number(value: str) -> str:
    """`1,000.00`, `1000` and `1.000,00` are one number: the last of two kinds of mark is the decimal one."""
    digits = value.strip("'\u00a0\u2019,.").replace("'", "").replace("\u2019", "").replace("\u00a0", "")
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and point >= 0:
        digits = digits.replace("," if point > comma else ".", "")
    elif digits.count(",") > 1 or (comma >= 0 and len(digits) - comma == 4):
        digits = digits.replace(",", "")
    elif digits.count(".") > 1:
        digits = digits.replace(".", "")
    digits = digits.replace(",", ".")
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    return f"n {whole.lstrip('0') or '0'}{'.' + part if part else ''}"


def _accounts(run: str) -> Iterator[str]:
    """Groups that stand together are one account, and each long enough alone; a word after it may be none of it."""
    groups = run.replace("-", " ").split(" ")
    yield from (account(group) for group in groups if len(group) >= LEAST_DIGITS)
    joined = ""
    for at, group in enumerate(groups):
        joined += group
        ends = at + 1 == len(groups) or groups[at + 1].isalpha() or _is_iban(joined)
        if at and ends and LEAST_DIGITS <= len(joined) <= MOST_DIGITS:
            yield account(joined)


def _is_iban(text: str) -> bool:
    """ISO 7064, MOD 97-10."""
    if len(text) < 15 or not text.isascii() or not (text[:2].isalpha() and text[2:4].isdigit()):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1
