"""A part of the attestor: which processes have one terminal open, where they could read its keys."""

# A Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116, PTH123, PTH208

import errno
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from remit import attestor_line as line

Tables = Callable[[int], list[str]]

_OWN_TERMINAL: Final = os.makedev(5, 0)  # /dev/tty: that of whoever opened it, which nothing tells afterwards
_NO_FILE: Final = (b"socket:", b"pipe:", b"anon_inode:", b"/memfd:")
_MAX_FDINFO: Final = 4096


def opened(given: bytes, tables_apart: Tables) -> bytes:
    """Which of these processes have the file of one terminal open, or some /dev/tty: as the budget allows."""
    device, inode, budget, count = line.TERMINAL.unpack_from(given)
    if count > line.MAX_PIDS:
        raise ValueError("too much at once")
    done, spent, found = 0, 0, []
    for pid in struct.unpack_from(f"={count}i", given, line.TERMINAL.size):
        if done and spent >= budget:
            break
        code, how, read = _by(pid, (device, inode), tables_apart, budget - spent)
        done, spent = done + 1, spent + read
        if code or how:
            found.append(line.HOLDER.pack(pid, code, how))
    return line.FOUND.pack(done, spent) + b"".join(found)


def _by(pid: int, node: tuple[int, int], tables_apart: Tables, budget: int) -> tuple[int, int, int]:
    """(errno, how it is open, descriptors that were read); E2BIG when there are more than that."""
    how = read = 0
    try:
        for table in [f"/proc/{pid}/fd", *tables_apart(pid)]:
            for name in os.listdir(table):
                read += 1
                if read > budget:
                    return errno.E2BIG, how, read
                with suppress(FileNotFoundError):
                    how |= _how(table, name, node)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        pass  # gone, or one of its threads is
    except OSError as error:
        return error.errno or errno.EIO, how, read
    return 0, how, read


def _how(table: str, name: str, node: tuple[int, int]) -> int:
    """Told first by what the kernel itself has of the descriptor: a file's own system may never answer."""
    link = os.readlink(f"{table}/{name}".encode())
    some = link.endswith(b"/tty")
    if link.startswith(_NO_FILE) or not (some or _inode(f"{table}info/{name}") in {None, node[1]}):
        return 0
    status = os.stat(f"{table}/{name}")
    if stat.S_ISCHR(status.st_mode) and (status.st_dev, status.st_ino) == node:
        return line.OPEN
    return line.SOME_TERMINAL if some and status.st_rdev == _OWN_TERMINAL else 0


def _inode(path: str) -> int | None:
    """None where the kernel doesn't tell it here (before 5.14)."""
    with open(path, "rb", buffering=0) as told:
        rows = (row.partition(b":") for row in told.read(_MAX_FDINFO).splitlines())
        return next((int(value) for key, _, value in rows if key == b"ino"), None)
