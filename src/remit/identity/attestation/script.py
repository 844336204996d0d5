"""The script that an interpreter runs, by its command line: found as the process itself would find it, and hashed."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH115

import os
import stat
from contextlib import ExitStack
from typing import Final

from remit.identity.attestation.beneath import open_beneath
from remit.identity.attestation.digests import Digests
from remit.identity.attestation.interpreters import interpreter_of, script_argument
from remit.identity.attestation.names import path_of
from remit.identity.process import Script

MAX_COMMAND_LINE: Final = 1 << 14  # a longer one names no script here
MAX_SCRIPT_BYTES: Final = 64 << 20  # a jar of an application with all its libraries

Words = list[bytes]


def script_of(pid: int, executable: str | None, digests: Digests) -> Script | None:
    """What the interpreter `executable`, running as `pid`, was told to run; None for a program that is none.

    Its file is read where the process sees it now: it may have changed its directory, or the file, since it started.
    """
    interpreter = None if executable is None else interpreter_of(executable)
    if interpreter is None or executable is None:
        return None
    name = executable.rpartition("/")[2]
    try:
        words = _command_line(pid)
        argument = script_argument(interpreter, [os.fsdecode(word) for word in words[1:]])
        if argument is None:
            return Script(name)
        path, sha256 = _read(pid, os.fsencode(argument), digests)
    except (OSError, ValueError):  # gone, not ours to see, or no such file
        return Script(name)
    return Script(name, path, sha256)


def _command_line(pid: int) -> Words:
    file = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(file, MAX_COMMAND_LINE)
    finally:
        os.close(file)
    return text.removesuffix(b"\0").split(b"\0") if text.endswith(b"\0") and len(text) < MAX_COMMAND_LINE else []


def _read(pid: int, argument: bytes, digests: Digests) -> tuple[str | None, str | None]:
    """(path, SHA-256). The path is the one with its links followed, as the kernel has it of an executable."""
    place = argument if argument.startswith(b"/") else os.readlink(f"/proc/{pid}/cwd".encode()) + b"/" + argument
    with ExitStack() as undo:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, root)
        file = open_beneath(root, place)
        undo.callback(os.close, file)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SCRIPT_BYTES:
            return None, None
        here = f"/proc/self/fd/{file}"
        path, deleted = path_of(os.readlink(here.encode()), (status.st_dev, status.st_ino), f"/proc/{pid}/ns/mnt")
        return None if deleted else path, digests.of(here)
