"""What a book of openings shows: to `break-glass list`, `status` and `doctor`, also while nothing runs."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from remit.errors import StateError
from remit.persons.break_glass import Moment, Opening
from remit.persons.openings_book import OpeningsBook

ENDED = "its instance has ended"


def listed(book: OpeningsBook, at: Moment, sees: Callable[[str], bool], *, runs: bool = True) -> dict[str, Any]:
    """The openings of those whom `sees` lets see, and what shows that the list is not whole.

    Without an instance that `runs` none is open.
    """
    shown = [one.to_dict(at) for one in _now(book.openings().values(), at, runs=runs) if sees(one.person)]
    return {"openings": shown, "flaws": book.flaws(), "wrong_codes": book.wrong_codes()}


def standing(book: OpeningsBook, at: Moment, opening_id: str = "", *, runs: bool = True) -> dict[str, Any]:
    """What is open (`opening_id`), what is to be reviewed, whether a code is sealed (None: that can't be read)."""
    openings = _now(book.openings().values(), at, runs=runs)
    try:
        sealed = book.sealed() is not None
    except (StateError, OSError):
        sealed = None
    return {
        "open": next((one.to_dict(at) for one in openings if one.id == opening_id), None),
        "due": [one.to_dict(at) for one in openings if one.standing(at).startswith("review ")],
        "flaws": book.flaws(),
        "sealed": sealed,
    }


def _now(openings: Iterable[Opening], at: Moment, *, runs: bool) -> list[Opening]:
    """As they are when an instance runs that holds them, or none does."""
    if runs:
        return list(openings)
    return [replace(one, closed=at.now, why=ENDED) if one.left(at) > 0 else one for one in openings]
