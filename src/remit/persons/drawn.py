"""What the asker draws: an act in full, in pages that a terminal has room for; pure."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from remit.persons.asker_line import Order
from remit.persons.shown import visible

# ECMA-48: plain text again, ASCII letters, the whole screen scrolls, at its last line: whatever stood there before.
CLEAN: Final = "\x1b[0m\x1b(B\x1b[r\x1b[999;1H\r\n"
MORE: Final = "-- Enter shows the rest, Ctrl-C refuses --"
_MOST: Final = 500  # rows and columns: a larger terminal is drawn on as one of these
_LEAST: Final = 20
_USUAL: Final = (24, 80)
_RESERVED: Final = 3  # rows for the question


def pages(order: Order, rows: int, columns: int, *, utf8: bool) -> list[list[str]]:
    """The rows of each page. A terminal that doesn't tell its size (0) is taken for 24 by 80."""
    high = min(rows or _USUAL[0], _MOST)
    wide = min(max(columns or _USUAL[1], _LEAST), _MOST) - 1  # some terminals wrap at the last column
    drawn = [row for line in _lines(order, wide) for row in _wrapped(line if utf8 else _ascii(line), wide)]
    size = max(high - _RESERVED, 2)
    return [drawn[at : at + size] for at in range(0, len(drawn), size)]


def question(order: Order) -> str:
    """What is asked for, after all pages."""
    if order.code:
        return f"type {order.code} to agree (Ctrl-C refuses): "
    return f"password of {visible(order.account)} (not shown; Ctrl-C refuses): "


def _lines(order: Order, wide: int) -> Iterator[str]:
    yield "-- Remit asks ".ljust(wide, "-")
    yield f"  {visible(order.account)} is asked to allow: {order.act}"
    for line in order.lines:
        yield f"    {line}"
    yield f"  asked for by {visible(order.process)}; good for exactly this, once"


def _wrapped(line: str, wide: int) -> Iterator[str]:
    row, taken = "", 0
    for one in line:
        width = 2 if unicodedata.east_asian_width(one) in "WF" else 1
        if taken + width > wide:
            yield row
            row, taken = "", 0
        row, taken = row + one, taken + width
    yield row


def _ascii(line: str) -> str:
    return "".join(one if one.isascii() else f"\\u{{{ord(one):04x}}}" for one in line)
