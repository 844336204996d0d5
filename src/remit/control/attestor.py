"""The attestor as a child of control: given the capabilities control was started with, and lines to answer on.

It must be started before control gives those up, and can't be started again afterwards: while it is gone, callers
that are not shown to Remit's own uid are unknown.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from remit.attestor_line import ADOPT
from remit.control import privileged
from remit.errors import StateError
from remit.identity.attestation.asking import Lines
from remit.identity.attestation.eyes import look_through
from remit.identity.attestation.through import ThroughAttestor
from remit.models.hidden import see_through
from remit.sandbox.child import ENVIRONMENT
from remit.sandbox.hidden_files import HiddenFiles

PROGRAM: Final = (sys.executable, "-I", "-m", "remit.sandbox.attestor")
LINES: Final = 4  # of one process: two threads attest, one walks, and the last looks at models' files


@dataclass(frozen=True, slots=True)
class Attestor:
    """A running one. `door` is where lines are handed in; it ends when that is closed."""

    process: subprocess.Popen[bytes]
    pidfd: int
    door: socket.socket

    def line(self) -> socket.socket:
        """A new line to it. Raises StateError when it has ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                socket.send_fds(self.door, [ADOPT], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise StateError("the attestor has ended", hint="callers of other users are unknown") from error
        return ours

    def lines(self, count: int = LINES) -> list[socket.socket]:
        """As many as one process needs; hand them to it and close them here."""
        return [self.line() for _ in range(count)]

    def close(self) -> None:
        """Let it end, and wait for that."""
        privileged.end(self.process, self.door, self.pidfd)


def start_attestor(program: Sequence[str] = PROGRAM) -> Attestor:
    """Start it, and look through it from now on. What this process holds as ambient capabilities is passed on."""
    process, ours = privileged.started(program, ENVIRONMENT)
    attestor = Attestor(process, os.pidfd_open(process.pid), ours)
    *lines, files = attestor.lines()
    look_through(ThroughAttestor(Lines(lines)))
    see_through(HiddenFiles(Lines([files]), Lines(attestor.lines(1))))
    return attestor


def mind_attestor(attestor: Attestor, ended: Callable[[int], None]) -> Callable[[], None]:
    """Call `ended` with its exit status when it ends; what is returned stops minding it. In a running event loop."""
    return privileged.minded(attestor.process, attestor.pidfd, ended)
