"""A password as it was typed: read once, shown nowhere, overwritten when done."""

import ctypes
import os
import select
import stat
import time
from typing import Final, final

MAX_BYTES: Final = 511  # PAM_MAX_RESP_SIZE (security/_pam_types.h) without its final zero


class NothingTypedError(Exception):
    """Whoever asked for it wrote nothing, or not in time."""


@final
class TypedPassword:
    """Its bytes, with a zero after them, in memory that `overwrite` clears."""

    __slots__ = ("_bytes", "size")

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(MAX_BYTES + 2)
        self.size = 0

    @classmethod
    def read(cls, descriptor: int, seconds: float) -> "TypedPassword":
        """All that comes from a socket or pipe until its end, which must come within `seconds`.

        Raises NothingTypedError, and ValueError for what can be no password: too long, or with a zero or line end.
        """
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)):
            raise ValueError("neither a socket nor a pipe")
        os.set_blocking(descriptor, False)
        typed, until = cls(), time.monotonic() + seconds
        while typed._take(descriptor, until - time.monotonic()):
            if typed.size > MAX_BYTES:
                typed.overwrite()
                raise ValueError("too long")
        if not typed.size:
            raise NothingTypedError
        if any(ord(typed._bytes[index]) in b"\0\r\n" for index in range(typed.size)):
            typed.overwrite()
            raise ValueError("not one line")
        return typed

    def copy_to(self, address: int) -> None:
        """Its bytes and the final zero, to memory that has room for `size` + 1."""
        ctypes.memmove(address, self._bytes, self.size + 1)

    def overwrite(self) -> None:
        """Have zeros where it was. Copies that were made are their owners' to clear."""
        ctypes.memset(self._bytes, 0, ctypes.sizeof(self._bytes))
        self.size = 0

    def _take(self, descriptor: int, seconds: float) -> bool:
        """Some more of it; False at its end."""
        if not select.select([descriptor], [], [], max(seconds, 0.0))[0]:
            self.overwrite()
            raise NothingTypedError
        try:
            got = os.readv(descriptor, [memoryview(self._bytes)[self.size :]])
        except BlockingIOError:
            return True
        self.size += got
        return got > 0

    def __repr__(self) -> str:
        return "TypedPassword(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a password is never serialised")
