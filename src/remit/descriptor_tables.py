"""The tables of descriptors that a process keeps, its own and those of its threads, and what is open in one."""

# A Path object costs more than the call itself.
# ruff: noqa: PTH116, PTH208

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from typing import Final

_KCMP_FILES: Final = 2  # linux/kcmp.h: do two threads share one descriptor table?
_KCMP: Final = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine())
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_DONT_SYNC: Final = 0x4000  # linux/stat.h: AT_STATX_DONT_SYNC
_STATX: Final = struct.Struct("=32xQ88x4I112x")  # of struct statx: the inode; the device it is, the one it is on


def tables(pid: int, *, every_thread: bool) -> Iterator[str]:
    """The directories below /proc that list them; raises OSError, also when the process is gone."""
    yield f"/proc/{pid}/fd"
    if not every_thread or os.stat(f"/proc/{pid}/task").st_nlink <= 3:  # ".", "..", and one directory a thread
        return
    for thread in [int(name) for name in os.listdir(f"/proc/{pid}/task")]:
        if thread != pid and not _share_table(pid, thread):
            yield f"/proc/{pid}/task/{thread}/fd"


def node(table: int, name: str) -> tuple[int, int, int]:
    """An open file's device and inode, and which device it is itself, as the kernel has them at hand (statx(2)).

    Its file system isn't asked: it may never answer, or not to this user. Raises OSError.
    """
    told = ctypes.create_string_buffer(_STATX.size)
    if _LIBC.statx(table, name.encode(), _DONT_SYNC, 0, told):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    inode, itself_major, itself_minor, major, minor = _STATX.unpack(told)
    return os.makedev(major, minor), inode, os.makedev(itself_major, itself_minor)


def _share_table(one: int, other: int) -> bool:
    """False also where the kernel can't tell (no CONFIG_KCMP, another machine): then the table is read."""
    return _KCMP is not None and bool(_LIBC.syscall(_KCMP, one, other, _KCMP_FILES, 0, 0) == 0)
