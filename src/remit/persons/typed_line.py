"""A line as it is typed, key by key, on a terminal that edits nothing and raises no signals itself; pure."""

import enum
from typing import Final

from remit.persons.asker_line import MAX_TYPED

_END: Final = b"\r\n"
_BACK: Final = b"\x08\x7f"
_KILL: Final = b"\x15"  # Ctrl-U
_REFUSE: Final = b"\x03\x1a\x1c"  # Ctrl-C, Ctrl-Z, Ctrl-\
_NO_MORE: Final = b"\x04"  # Ctrl-D


class Typing(enum.Enum):
    """How far it is."""

    GOES_ON = enum.auto()
    DONE = enum.auto()
    REFUSED = enum.auto()
    TOO_LONG = enum.auto()


class TypedLine:
    """`data` holds the bytes, in one place that `overwrite` clears."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed(self, key: int) -> Typing:
        """One byte. What is typed after the end is not looked at."""
        if key in _END:
            return Typing.DONE
        if key in _REFUSE or (key in _NO_MORE and not self.data):
            return Typing.REFUSED
        if key in _NO_MORE:
            return Typing.DONE
        if key in _BACK:
            self._back()
        elif key in _KILL:
            self.overwrite()
        elif len(self.data) >= MAX_TYPED:
            return Typing.TOO_LONG
        else:
            self.data.append(key)
        return Typing.GOES_ON

    def overwrite(self) -> None:
        """Have zeros where it was. Copies that Python made by itself can't be reached."""
        for at in range(len(self.data)):
            self.data[at] = 0
        self.data.clear()

    def _back(self) -> None:
        """Take one character away: in UTF-8 with the bytes that go on it."""
        while self.data and self.data.pop() & 0xC0 == 0x80:
            pass
