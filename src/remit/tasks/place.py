"""A path as its parts, where it can be read in one way only. Pure: no file is looked at.

What a link in the file system leads to is not known here. Whoever opens the file must not follow one that leads out
(openat2(2), RESOLVE_BENEATH).
"""

import re
import unicodedata
from typing import Final

LONGEST: Final = 4_096  # characters: PATH_MAX
# What some tool reads as more than a name: `~`, variables, a scheme or drive, an encoding, the other slash, controls.
_ODD: Final = re.compile(
    r"""
    (?: \A ~ | (?:\A|/)\$ | \$[({] | \A[A-Za-z][A-Za-z0-9+.-]*: | %[0-9A-Fa-f]{2} | [\\\x00-\x1f\x7f]
    | (?:\A|/)\.\.(?:/|\Z) )
    """,
    re.VERBOSE,
)

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./-]+")  # odd only by `..`: most paths, told in a third of the time

Place = tuple[str, ...]  # the parts, after `/` for an absolute one


def place(path: str) -> Place | None:
    """The parts without `.` and doubled slashes; None for what can be read in two ways, `..` too.

    `..` after a link leads elsewhere than the letters say.
    """
    if not 0 < len(path) <= LONGEST or not (_PLAIN.fullmatch(path) or _even(path)):
        return None
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts:
        return None
    return ("/", *parts) if path.startswith("/") else tuple(parts)


def beneath(one: Place, root: Place) -> bool:
    """Whether it is this directory, or in it. A relative path is in relative directories only."""
    if one[:1] == ("/",) and root[:1] != ("/",):
        return False
    return one[: len(root)] == root


def _even(path: str) -> bool:
    """Whether nothing odd is in it, normalised too: full-width dots and slashes make it another path."""
    plain = path if path.isascii() else unicodedata.normalize("NFKC", path)
    return plain.count("/") == path.count("/") and _ODD.search(path) is None and _ODD.search(plain) is None
