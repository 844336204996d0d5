"""The tables of descriptors that a process keeps: its own, and those of threads that keep one for themselves."""

# A Path object costs more than the call itself.
# ruff: noqa: PTH116, PTH208

import ctypes
import os
import platform
from collections.abc import Iterator
from typing import Final

_KCMP_FILES: Final = 2  # linux/kcmp.h: do two threads share one descriptor table?
_KCMP: Final = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine())
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def tables(pid: int, *, every_thread: bool) -> Iterator[str]:
    """The directories below /proc that list them; raises OSError, also when the process is gone."""
    yield f"/proc/{pid}/fd"
    if not every_thread or os.stat(f"/proc/{pid}/task").st_nlink <= 3:  # ".", "..", and one directory a thread
        return
    for thread in [int(name) for name in os.listdir(f"/proc/{pid}/task")]:
        if thread != pid and not _share_table(pid, thread):
            yield f"/proc/{pid}/task/{thread}/fd"


def _share_table(one: int, other: int) -> bool:
    """False also where the kernel can't tell (no CONFIG_KCMP, another machine): then the table is read."""
    return _KCMP is not None and bool(_LIBC.syscall(_KCMP, one, other, _KCMP_FILES, 0, 0) == 0)
