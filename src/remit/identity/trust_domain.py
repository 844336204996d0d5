"""The name of a trust domain of one machine that belongs to no fleet."""

import re
from typing import Final

from remit.errors import IdentityError

MAX_LABEL: Final = 48  # keeps the whole name well under SPIFFE-ID 2.1's 255 bytes, and readable

_FOREIGN = re.compile(r"[^a-z0-9]+")


def lone_trust_domain(hostname: str, suffix: str) -> str:
    """`maple-7f3a.local` from this machine's host name and a few characters that set it apart from its namesakes.

    `suffix` should be stable for the machine (part of a digest of its machine id). Raises IdentityError when
    nothing of it is left after sanitising: two machines would share one trust domain.
    """
    label = _sanitised(hostname.split(".", maxsplit=1)[0]) or "host"
    apart = _sanitised(suffix)
    if not apart:
        raise IdentityError(f"`{suffix}` can't set a trust domain apart: use a few letters or digits")
    return f"{label}-{apart}.local"


def _sanitised(name: str) -> str:
    return _FOREIGN.sub("-", name.lower())[:MAX_LABEL].strip("-")
