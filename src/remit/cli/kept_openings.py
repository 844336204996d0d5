"""The openings of break-glass as their files show them, where no control answers."""

import os
from typing import Any

from remit.config import Places
from remit.control.moments import this_moment
from remit.errors import StateError
from remit.persons import openings
from remit.persons.openings_book import OpeningsBook
from remit.persons.sealing import DIRECTORY


def readable(at: Places) -> bool:
    """Whether the files are this user's to read."""
    return os.access(at.state, os.R_OK | os.X_OK)


def kept_list(at: Places) -> dict[str, Any]:
    """All of them; raises StateError where they are not this user's to read."""
    return openings.listed(_book(at), this_moment(), lambda _: True, runs=False)


def kept_standing(at: Places) -> dict[str, Any]:
    """As in `status`; raises StateError."""
    return openings.standing(_book(at), this_moment(), runs=False)


def _book(at: Places) -> OpeningsBook:
    if not readable(at):
        raise StateError(f"`{at.state}` is not yours to read, and no control answers", hint="ask whoever runs Remit")
    return OpeningsBook(at.state / DIRECTORY)
