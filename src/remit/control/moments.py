"""Now, by the clock that people set and by the one that nobody does."""

import time
from pathlib import Path
from typing import Final

from remit.control.endings import since_boot
from remit.persons.break_glass import Moment

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def this_moment() -> Moment:
    """Now, by both clocks."""
    return Moment(time.time(), since_boot(), boot())


def boot() -> str:
    """Which start of the machine this is."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
