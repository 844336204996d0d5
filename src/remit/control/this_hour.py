"""The hour and weekday that policies read, in the machine's own zone."""

import time

from remit.policy import Moment


def moment_at(now: float) -> Moment:
    """At `now` (Unix seconds)."""
    local = time.localtime(now)
    return Moment(local.tm_hour, local.tm_wday + 1)
