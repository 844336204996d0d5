"""The script that an interpreter runs, by its command line: found as the process itself would find it, and hashed."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH116

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from remit.identity.attestation.digests import Digests, Key, file_key
from remit.identity.attestation.eyes import eyes
from remit.identity.attestation.interpreters import interpreter_of, script_argument
from remit.identity.attestation.shortage import is_shortage
from remit.identity.process import Script

MAX_COMMAND_LINE: Final = 1 << 14  # a longer one names no script here
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
        found = eyes().script(pid, place, digests)
        script = replace(unknown, path=found.path, sha256=found.sha256)
        if found.file is not None and found.lasting:
            below = b"root" if place.startswith(b"/") else b"cwd/"
            self._keep(line, _Known(b"/proc/%d/%b%b" % (pid, below, place), found.file, script))
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


SCRIPTS: Final = Scripts()  # the same fact for every asker in this process
