"""Hardening of the running process: nobody of the same uid may read its memory, and it leaves no core behind.

Not-dumpable does not survive `exec`: each Remit program calls `harden` first thing, before it holds a secret.
"""

import ctypes
import os
import resource
import signal
from collections.abc import Iterable
from typing import Final

from remit.errors import StateError

# linux/prctl.h
PR_SET_PDEATHSIG: Final = 1
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38

MAX_DESCRIPTORS: Final = 1 << 20  # fs.nr_open's default


def harden(*, die_with_parent: bool = False) -> None:
    """Make this process not dumpable, without core dumps or new privileges; children inherit the latter two.

    A not-dumpable process has its `/proc/PID` owned by root, so same-uid processes can't read its environment, memory
    or executable, nor trace it; it never dumps core either, not even to a pipe, which `RLIMIT_CORE` 0 alone allows.
    With `die_with_parent` the kernel kills it when the thread that started it ends. Raises StateError if any of it
    does not hold afterwards.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if die_with_parent:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(PR_SET_DUMPABLE, 0)
    if _prctl(PR_GET_DUMPABLE) != 0:
        raise StateError("the kernel keeps this process dumpable: its secrets could be read")


def close_fds(keep: Iterable[int]) -> None:
    """Close every descriptor that is not in `keep`: what a parent left open is nobody's business here."""
    low = 0
    for descriptor in sorted(set(keep)):
        if low < descriptor:  # os.closerange(0, 0) closes everything (CPython up to 3.13 asks for 0 to -1)
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, MAX_DESCRIPTORS)


def _prctl(option: int, value: int = 0) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    result = int(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise StateError(f"prctl {option} failed: {reason}", hint="a seccomp filter around Remit may forbid it")
    return result
