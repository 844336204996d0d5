"""Landlock (landlock(7)): a process gives up all files but some directories, to read, for itself and its children."""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from typing import Final

from remit.errors import StateError
from remit.sandbox.syscalls import number

# linux/landlock.h, of its first version: Linux 5.13
ALL_ACCESS: Final = (1 << 13) - 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
_BENEATH: Final = 1  # LANDLOCK_RULE_PATH_BENEATH
_RULESET: Final = struct.Struct("=Q")
_RULE: Final = struct.Struct("=Qi")

_NONE_HERE: Final = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}  # EPERM: a container's own filter

_libc: Final = ctypes.CDLL(None, use_errno=True)


def only_read(directories: Iterable[str]) -> bool:
    """From now on this thread, and what it starts, can open files beneath `directories` alone, and only to read.

    Call it before there is another thread, and with no-new-privileges. A directory that isn't there is left out.
    False where this kernel has no Landlock, or a container keeps it: then nothing is given up. Raises StateError for
    any other failure.
    """
    try:
        ruleset = _call("landlock_create_ruleset", _RULESET.pack(ALL_ACCESS), _RULESET.size, 0)
    except OSError as error:
        if error.errno in _NONE_HERE:
            return False
        raise StateError(f"Landlock failed: {error.strerror}") from error
    try:
        for directory in directories:
            _allow(ruleset, directory)
        _call("landlock_restrict_self", ruleset, 0)
    except OSError as error:
        raise StateError(f"Landlock failed: {error.strerror}") from error
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, directory: str) -> None:
    try:
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _call("landlock_add_rule", ruleset, _BENEATH, _RULE.pack(READ_FILE | READ_DIR, place), 0)
    finally:
        os.close(place)


def _call(name: str, *arguments: int | bytes) -> int:
    call = number(name, os.uname().machine)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    given = [ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) for one in arguments]
    done = _libc.syscall(ctypes.c_long(call), *given)
    if done < 0:
        reason = ctypes.get_errno()
        raise OSError(reason, os.strerror(reason))
    return int(done)
