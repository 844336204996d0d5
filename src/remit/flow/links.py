"""What programs make a link of in a text: URLs, and host names without one. Each is a place where a reader is sent.

Found as a browser or a mail program might read it, so rather more than fewer: any top-level domain in any case and
script, `//host`, `https:\\\\host`, HTML's entities, full-width dots, and letters that nobody sees.
"""

import html
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from remit.flow.normal import seen

LONGEST: Final = 2048  # characters, as in atoms.py: nobody vouches for a longer one
MOST_LINKS: Final = 512  # of one text
UNREAD: Final = "\x00"
_END: Final = r"\s<>\"'`|\\^{}"
_URL: Final = re.compile(
    rf"\b(?:[a-z][a-z0-9+.-]{{1,15}}:[/\\]{{2,}}|(?:https?|ftp|wss?):[/\\]|www\d?\.)(?=[^{_END}])[^{_END}]*+",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]++)++(?![\w-])")
_TAIL: Final = re.compile(rf"(?::\d{{1,5}}(?!\w))?+(?:[/?#\\][^{_END}]{{0,{LONGEST}}}+)?+")
_GOES_ON: Final = re.compile(rf":\d|[/?#\\][^{_END}.,;:!?)\]]")
_NAME_AT: Final = re.compile(r"[\w.!#$%&*+/=?^{|}~-]@")
_AT_PLACE: Final = re.compile(r"@\w")
_TOP: Final = re.compile(r"[^\W\d_]{2,63}|xn--[a-z0-9-]{1,59}", re.IGNORECASE)
_FOUR_NUMBERS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,15}):[/\\]+")
# Endings of files, of which some are top-level domains too: a bare name that ends so is no link.
_ENDINGS: Final = """doc docx xls xlsx ppt pptx pdf txt csv tsv md rst json yaml yml toml xml htm html png jpg jpeg
    gif svg log zip gz tar py js ts rs go c h cpp java rb sh sql ini cfg conf lock eml ics mp3 mp4"""
_FILES: Final = frozenset(_ENDINGS.split())
_TRAILING: Final = ".,;:!?)]}'\""


def links(text: str) -> list[str]:
    """Those of a text as it stands and as a program may show it, none twice; beyond MOST_LINKS, one UNREAD."""
    shown = seen(html.unescape(text) if "&" in text else text)
    found: dict[str, None] = {}
    for link in chain(_links(text), _links(shown) if shown != text else ()):
        if len(found) == MOST_LINKS and link not in found:
            return [*found, UNREAD]
        found[link if len(link) <= LONGEST else UNREAD] = None
    return list(found)


def _links(text: str) -> Iterator[str]:
    past = 0
    for url in _URL.finditer(text):
        yield from _hosts(text, past, url.start())
        yield _SCHEME.sub(r"\1://", url[0].rstrip(_TRAILING), count=1)
        past = url.end()
    yield from _hosts(text, past, len(text))


def _hosts(text: str, start: int, end: int) -> Iterator[str]:
    """Host names between two places. What follows one may hold the next: that is looked at by itself."""
    for host in _HOST.finditer(text, start, end):
        before = text[max(0, host.start() - 2) : host.start()]
        if _NAME_AT.fullmatch(before) or _AT_PLACE.match(text, host.end()):
            continue  # an address to write to
        slashes = before in {"//", "\\\\", "/\\", "\\/"}
        if slashes or (not before.endswith(("/", "\\")) and _is_host(host[0], text[host.end() : host.end() + 2])):
            tail = _TAIL.match(text, host.end())
            yield (host[0] + (tail[0] if tail else "")).rstrip(_TRAILING)


def _is_host(name: str, after: str) -> bool:
    """`after` are the two characters behind it. A file's ending, or numbers, take a path or port to be a host's."""
    last = name.rpartition(".")[2]
    if _TOP.fullmatch(last) and last.lower() not in _FILES:
        return True
    return _GOES_ON.match(after) is not None and (bool(_TOP.fullmatch(last)) or bool(_FOUR_NUMBERS.fullmatch(name)))
