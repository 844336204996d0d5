"""What callers chose to say, as the log may keep it: no secret, no person's name, and not much of it."""

import re
from typing import Final

from remit.audit import without_home
from remit.redaction import Scrubber, mask

MAX_CHARACTERS: Final = 300
_PERSON = re.compile(r"(spiffe://[a-z0-9._-]+/user/)[A-Za-z0-9._-]+")


def said(text: str, scrubber: Scrubber) -> str:
    """`text` with secrets masked, no names in SPIFFE IDs and home directories, and no more than MAX_CHARACTERS."""
    clean = mask(text, scrubber.find(text))
    clean = without_home(_PERSON.sub(r"\1…", clean))
    return clean if len(clean) <= MAX_CHARACTERS else clean[: MAX_CHARACTERS - 1] + "…"
