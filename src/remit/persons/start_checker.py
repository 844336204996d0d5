"""Starts the checker of passwords, by root and before root is given up: nobody else can."""

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from remit.errors import StateError

PROGRAM: Final = (sys.executable, "-I", "-m", "remit.persons.checker")


def start_checker(
    environment: Mapping[str, str], program: Sequence[str] = PROGRAM
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The other end of its line, and itself; it ends when that is closed. Raises StateError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            process = subprocess.Popen(
                [*program, "--line", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise StateError(f"the checker of passwords can't be started: {error.strerror}") from error
    return ours, process
