"""The script that an interpreter runs, by its command line: found as the process itself would find it, and hashed."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116

import os
import stat
import threading
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from remit.identity.attestation.beneath import open_beneath
from remit.identity.attestation.digests import Digests, Key, file_key
from remit.identity.attestation.interpreters import interpreter_of, script_argument
from remit.identity.attestation.names import path_of
from remit.identity.attestation.shortage import is_shortage
from remit.identity.process import Script

MAX_COMMAND_LINE: Final = 1 << 14  # a longer one names no script here
MAX_SCRIPT_BYTES: Final = 64 << 20  # a jar of an application with all its libraries

MAX_SCRIPTS: Final = 256

Line = tuple[int, int, str, bytes]  # pid, start, executable, command line: one process told one thing


@dataclass(frozen=True, slots=True)
class _Known:
    """A script, the way to it below `/proc/PID`, and the file that lay there."""

    place: bytes
    file: Key
    script: Script


class Scripts:
    """What interpreters run; those seen before are known again by their files. Safe to share between threads."""

    def __init__(self, capacity: int = MAX_SCRIPTS) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Line, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, pid: int, start: int, executable: str | None, digests: Digests) -> Script | None:
        """What the interpreter `executable`, running as `pid`, was told to run; None for a program that is none.

        Its file is looked at where the process sees it now: it may have changed its directory, or the file, since it
        started. Blocks while a new one is hashed.
        """
        interpreter = None if executable is None else interpreter_of(executable)
        if interpreter is None or executable is None:
            return None
        name = executable.rpartition("/")[2]
        try:
            text = _command_line(pid)
            line = (pid, start, executable, text)
            return self._again(line) or self._anew(
                line, Script(name), script_argument(interpreter, _words(text)), digests
            )
        except (OSError, ValueError) as error:  # gone, not ours to see, or no such file
            if isinstance(error, OSError) and is_shortage(error):
                raise
            return Script(name)

    def _again(self, line: Line) -> Script | None:
        with self._lock:
            known = self._known.get(line)
        return known.script if known is not None and file_key(os.stat(known.place)) == known.file else None

    def _anew(self, line: Line, unknown: Script, argument: str | None, digests: Digests) -> Script:
        if argument is None:
            return unknown
        place, pid = os.fsencode(argument), line[0]
        path, sha256, file = _read(pid, place, digests)
        script = replace(unknown, path=path, sha256=sha256)
        if file is not None:
            below = b"root" if place.startswith(b"/") else b"cwd/"
            self._keep(line, _Known(b"/proc/%d/%b%b" % (pid, below, place), file, script))
        return script

    def _keep(self, line: Line, known: _Known) -> None:
        with self._lock:
            self._known[line] = known
            self._known.move_to_end(line)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


def _command_line(pid: int) -> bytes:
    file = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, MAX_COMMAND_LINE)
    finally:
        os.close(file)


def _words(text: bytes) -> list[str]:
    """All but the first, which is the process's own name for itself; none of a line that is cut or not as usual."""
    if not text.endswith(b"\0") or len(text) >= MAX_COMMAND_LINE:
        return []
    return [os.fsdecode(word) for word in text.removesuffix(b"\0").split(b"\0")[1:]]


def _read(pid: int, argument: bytes, digests: Digests) -> tuple[str | None, str | None, Key | None]:
    """(path, SHA-256, file). The path is the one with its links followed, as the kernel has it of an executable."""
    place = argument if argument.startswith(b"/") else os.readlink(f"/proc/{pid}/cwd".encode()) + b"/" + argument
    with ExitStack() as undo:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, root)
        file = open_beneath(root, place)
        undo.callback(os.close, file)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SCRIPT_BYTES:
            return None, None, None
        here = f"/proc/self/fd/{file}"
        node = status.st_dev, status.st_ino
        path, deleted = path_of(os.readlink(here.encode()), node, f"/proc/{pid}/ns/mnt")
        return None if deleted else path, digests.of(here), file_key(status)


SCRIPTS: Final = Scripts()  # the same fact for every asker in this process
