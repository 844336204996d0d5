"""Open a path as another process sees it: below that process's root, whatever its links say (openat2(2))."""

import ctypes
import os
import struct
from typing import Final

_OPENAT2: Final = 437  # the same number on every architecture, since Linux 5.6
_RESOLVE_IN_ROOT: Final = 0x10  # linux/openat2.h: also refuses the kernel's own links, such as `/proc/self/root`
_HOW: Final = struct.Struct("=QQQ")  # struct open_how: flags, mode, resolve
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def open_beneath(root: int, path: bytes) -> int:
    """A descriptor that names the file `path` below the directory `root`, without opening it (O_PATH).

    A named pipe or a device is not woken by that. Raises OSError.
    """
    how = _HOW.pack(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    file: int = _LIBC.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(path), how, ctypes.c_size_t(_HOW.size)
    )
    if file < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return file
