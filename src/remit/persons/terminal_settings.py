"""A terminal's settings, given back as they were."""

import fcntl
import termios
from contextlib import suppress
from typing import Any, Final

TIOCEXCL: Final = 0x540C  # asm-generic/ioctls.h: nobody but root opens it any more
TIOCNXCL: Final = 0x540D


def give_back(terminal: int, before: list[Any], when: int = termios.TCSANOW, ours: list[Any] | None = None) -> None:
    """As in `before`, and for everybody to open; a terminal that is gone needs nothing.

    Where they are no longer `ours`, a shell that has the terminal back has set its own, and they stay.
    """
    with suppress(OSError):
        fcntl.ioctl(terminal, TIOCNXCL)
    with suppress(termios.error, OSError):
        if ours is None or termios.tcgetattr(terminal) == ours:
            termios.tcsetattr(terminal, when, before)
