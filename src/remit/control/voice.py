"""What control tells whoever started it: events for `remit up`, in its terminal or as JSON."""

import os
from collections.abc import Callable
from typing import Any

from remit import __version__

Say = Callable[[dict[str, Any]], None]


class Voice:
    """Says events by `say`."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def note(self, text: str) -> None:
        self.say({"event": "note", "text": text})

    def failure(self, error: BaseException) -> None:
        self.say({"event": "error", "message": str(error) or repr(error), "hint": getattr(error, "hint", "")})

    def starting(self, *, trust_domain: str, owner: str, shared: bool, grade: str) -> None:
        """`shared`: it is the whole machine's."""
        self.say(
            {
                "event": "starting",
                "version": __version__,
                "trust_domain": trust_domain,
                "owner": owner,
                "shared": shared,
                "uid": os.getuid(),
                "grade": grade,
            }
        )
