"""The attestor as a child of control: given the capabilities control was started with, and lines to answer on.

It must be started before control gives those up, and can't be started again afterwards: while it is gone, callers
that are not shown to Remit's own uid are unknown.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from remit.attestor_line import ADOPT
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
        self.door.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with suppress(OSError):
            os.close(self.pidfd)


def start_attestor(program: Sequence[str] = PROGRAM) -> Attestor:
    """Start it, and look through it from now on. What this process holds as ambient capabilities is passed on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [*program, "--line", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    attestor = Attestor(process, os.pidfd_open(process.pid), ours)
    *lines, files = attestor.lines()
    look_through(ThroughAttestor(Lines(lines)))
    see_through(HiddenFiles(Lines([files]), Lines(attestor.lines(1))))
    return attestor


def mind_attestor(attestor: Attestor, ended: Callable[[int], None]) -> Callable[[], None]:
    """Call `ended` with its exit status when it ends; what is returned stops minding it. In a running event loop."""
    loop = asyncio.get_running_loop()

    def seen() -> None:
        loop.remove_reader(attestor.pidfd)
        ended(attestor.process.wait())

    loop.add_reader(attestor.pidfd, seen)
    return partial(_forget, loop, attestor.pidfd)


def _forget(loop: asyncio.AbstractEventLoop, pidfd: int) -> None:
    loop.remove_reader(pidfd)
