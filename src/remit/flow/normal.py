"""One form for what means the same: a strict one for what may vouch for a value, a loose one to find it again.

Strict: what differs in it may be another recipient. ASCII letters lose their case and others are composed (NFC);
nothing that isn't ASCII ever becomes ASCII, so a homograph never equals the word it looks like. Loose: what
looks alike is alike (NFKC, case folding, look-alike letters, percent-encoding), for content from outside only, where
finding more does no harm.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

# Written by nobody to be read: zero width, soft hyphen, direction marks, fillers, variation selectors, tags.
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)
SPACES: Final = re.compile(r"\s+")
ASCII_SPACES: Final = re.compile(r"[ \t\r\n]+")
# Their composition or lower case has ASCII in it: Kelvin sign, Greek question mark, Greek varia, dotted capital I.
_BECOME_ASCII: Final = str.maketrans({"\u212a": "\ue000", "\u037e": "\ue001", "\u1fef": "\ue002", "\u0130": "\ue003"})
# What most fonts draw as the ASCII letter (Unicode TR 39, confusables.txt): after NFKC and case folding.
_LOOKS_LIKE: Final = {
    "a": "аɑα", "b": "ЬƄ", "c": "сϲᴄ", "d": "ԁ", "e": "еҽ", "f": "ϝք", "g": "ɡց", "h": "һհ", "i": "іıɩι", "j": "јϳ",
    "k": "кκ", "l": "ӏǀ", "m": "м", "n": "ոν", "o": "оοօ", "p": "рρ", "q": "ԛգ", "r": "гᴦ", "s": "ѕꜱ", "t": "тτ",
    "u": "υս", "v": "ѵᴠ", "w": "ԝѡա", "x": "хχ", "y": "уγү", "z": "ᴢ", "/": "⁄∕", ".": "․", "-": "‐‑‒–—−",
}  # fmt: skip
_LOOK_ALIKES: Final = str.maketrans({odd: plain for plain, odds in _LOOKS_LIKE.items() for odd in odds})
_DOTS: Final = str.maketrans("\u3002\u2024", "..")  # UTS 46: what a browser takes for the dot of a host name
_JSON_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_CONTROL: Final = {"b": " ", "f": " ", "n": "\n", "r": "\n", "t": "\t"}
_PUNYCODE: Final = re.compile(r"\bxn--([a-z0-9-]{1,59})\b")


def strict(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.translate(_BECOME_ASCII)).lower().replace("\u03c2", "\u03c3")


def loose(text: str) -> str:
    """Of any text; `loose(strict(text)) == loose(text)` wherever both see the same letters."""
    plain = text.casefold() if text.isascii() else _looking(text)
    return unquote(plain, errors="replace") if "%" in plain else plain


def _looking(text: str) -> str:
    seen = INVISIBLE.sub("", unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold())
    return unicodedata.normalize("NFKC", seen.translate(_LOOK_ALIKES))


def seen(text: str) -> str:
    """A text as a program may show and link it: compatible letters are one, invisible ones gone, dots are dots."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(_DOTS)


def visible(text: str) -> str:
    """A text as its reader sees it. Of texts, never of values: a value with something invisible in it is odd."""
    return text if text.isascii() else INVISIBLE.sub("", text)


def spaced(text: str) -> str:
    """Every run of white space, line ends too, is one blank."""
    return SPACES.sub(" ", text).strip()


def trimmed(value: str) -> str:
    """The same of a value that is to be vouched for: a blank that isn't plain is a letter that nobody sees."""
    return ASCII_SPACES.sub(" ", value).strip(" ")


def unescaped(text: str) -> str:
    """A text with the escapes of a JSON string taken back, wherever they stand; pairs of surrogates are joined."""
    plain = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _control(found[2]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _control(letter: str) -> str:
    return _JSON_CONTROL.get(letter, letter)


def whole(text: str) -> str:
    """A text without lone surrogates, which no UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def spelled(text: str) -> str:
    """Host names in punycode as people write them; what is none is left as it is."""
    return _PUNYCODE.sub(lambda found: _label(found[1]) or found[0], text) if "xn--" in text else text


def _label(encoded: str) -> str:
    try:
        label = encoded.encode("ascii").decode("punycode")
        label.encode()
    except (UnicodeError, OverflowError):
        return ""
    return label
