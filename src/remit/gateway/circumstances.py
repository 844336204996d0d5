"""The circumstances of a request as the gateway sees them: the machine's clock, and whose hands its task passed."""

import functools
import time
from typing import Final

from remit.identity import Caller
from remit.policy import Circumstances, Moment

_MINUTE: Final = 60


def circumstances_of(caller: Caller, now: float) -> Circumstances:
    """At `now` (Unix seconds). Whether anybody is there is not known here."""
    return Circumstances(moment=moment_at(now), chain=caller.chain)


def moment_at(now: float) -> Moment:
    return _moment(int(now) // _MINUTE)


@functools.lru_cache(maxsize=2)
def _moment(minute: int) -> Moment:
    """In the machine's own zone, which changes its offset on a whole minute if it does."""
    local = time.localtime(minute * _MINUTE)
    return Moment(local.tm_hour, local.tm_wday + 1)
