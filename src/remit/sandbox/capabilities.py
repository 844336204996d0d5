"""Linux capabilities of the calling thread, over ctypes: hold few, pass on few, drop the rest (capabilities(7)).

All four work on the calling thread alone: call them before the process has another one. They raise OSError with the
kernel's errno.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CAP_DAC_READ_SEARCH: Final = 2
CAP_SETPCAP: Final = 8
CAP_NET_ADMIN: Final = 12
CAP_SYS_PTRACE: Final = 19

_VERSION_3: Final = 0x20080522  # linux/capability.h: 64 bits in two halves
_HEADER: Final = struct.Struct("=Ii")
_SETS: Final = struct.Struct("=6I")  # effective, permitted, inheritable: the low halves, then the high ones
_PR_SET_KEEPCAPS: Final = 8
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_PR_SET_NO_NEW_PRIVS: Final = 38

_libc: Final = ctypes.CDLL(None, use_errno=True)


def held() -> frozenset[int]:
    """The capabilities in effect."""
    return _numbers(_get()[0])


def keep(caps: Iterable[int]) -> None:
    """Hold `caps` (those of them that are held) and no other, with none to pass on to what is executed.

    The bounding set shrinks to them as well where CAP_SETPCAP is held; without it no-new-privileges is what keeps a
    program with file capabilities from gaining more: see `no_new_privileges`.
    """
    wanted = frozenset(caps)
    _, permitted, _ = _get()
    _ambient(_AMBIENT_CLEAR_ALL, 0)
    if CAP_SETPCAP in _numbers(permitted):
        _set(permitted, permitted, 0)
        _bound(wanted)
    mask = _mask(wanted) & permitted
    _set(mask, mask, 0)


def drop_all() -> None:
    """Hold none, and pass none on."""
    keep(())


def ambient(caps: Iterable[int]) -> None:
    """Pass `caps` on through the next execve of a process that is not root; each must be held (or permitted)."""
    wanted = frozenset(caps)
    _, permitted, _ = _get()
    mask = _mask(wanted)
    _set(mask & permitted, permitted, mask)
    _ambient(_AMBIENT_CLEAR_ALL, 0)
    for number in sorted(wanted):
        _ambient(_AMBIENT_RAISE, number)


def keep_through_setuid() -> None:
    """Permitted capabilities survive the next change from uid 0 to another (PR_SET_KEEPCAPS); none is in effect."""
    _prctl(_PR_SET_KEEPCAPS, 1)


def no_new_privileges() -> None:
    """Nothing that is executed from here on gains a privilege, through set-uid bits or file capabilities."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _bound(wanted: frozenset[int]) -> None:
    for number in range(_last() + 1):
        if number not in wanted:
            _prctl(_PR_CAPBSET_DROP, number)


def _get() -> tuple[int, int, int]:
    """Effective, permitted, inheritable."""
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    sets = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(header, sets))
    low_e, low_p, low_i, high_e, high_p, high_i = _SETS.unpack(sets.raw)
    return low_e | high_e << 32, low_p | high_p << 32, low_i | high_i << 32


def _set(effective: int, permitted: int, inheritable: int) -> None:
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    three = (effective, permitted, inheritable)
    packed = _SETS.pack(*(one & 0xFFFFFFFF for one in three), *(one >> 32 for one in three))
    _check(_libc.capset(header, ctypes.create_string_buffer(packed, _SETS.size)))


def _ambient(operation: int, number: int) -> None:
    _prctl(_PR_CAP_AMBIENT, operation, number)


def _prctl(option: int, *arguments: int) -> None:
    given = [*arguments, 0, 0, 0, 0][:4]
    _check(_libc.prctl(option, *(ctypes.c_ulong(one) for one in given)))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _last() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))


def _mask(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in frozenset(numbers))


def _numbers(mask: int) -> frozenset[int]:
    return frozenset(number for number in range(64) if mask >> number & 1)
