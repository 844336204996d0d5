"""A `remit` command in the foreground of a terminal of its own, while somebody does something else meanwhile."""

import os
import pty
import re
import select
import signal
import time
from pathlib import Path
from typing import Self

from tests.e2e.conftest import REMIT, Remit

SECONDS = 60.0


class OnTerminal:
    """One command. `out` takes its stdout, if named; else the terminal has that too."""

    def __init__(self, remit: Remit, *arguments: str, out: Path | None = None) -> None:
        self.said, self.pid, self._master = "", *pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as at a shell; not what this process was started with
            if out is not None:
                os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600), 1)
            os.execve(REMIT, [REMIT, *arguments, "--state", str(remit.state)], remit.environ)

    def until(self, pattern: str) -> str:
        """What matches on the terminal, once it is there: its first group."""
        end = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < end, self.said
            assert self._read(), f"it ended: {self.said}"
        return found[1] if found.groups() else found[0]

    def interrupt(self) -> None:
        """Ctrl-C, typed."""
        os.write(self._master, b"\x03")

    def ended(self) -> tuple[int, str]:
        """Its exit status and all it said, once it has ended."""
        end = time.monotonic() + SECONDS
        while self._read():
            assert time.monotonic() < end, self.said
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return status, self.said

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # EIO: the last one that had it open has ended (pty(7))
            return False
        self.said += piece.decode()
        return bool(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)
