"""The life of a child that keeps a capability: started on a line of its own, minded, and ended with the line."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

END_SECONDS: Final = 5.0


def started(
    program: Sequence[str], environment: Mapping[str, str]
) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """It, and our end of its line. What this process holds as ambient capabilities is passed on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [*program, "--line", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    return process, ours


def minded(process: "subprocess.Popen[bytes]", pidfd: int, ended: Callable[[int], None]) -> Callable[[], None]:
    """Call `ended` with its exit status when it ends; what is returned stops minding it. In a running event loop."""
    loop = asyncio.get_running_loop()

    def seen() -> None:
        loop.remove_reader(pidfd)
        ended(process.wait())

    loop.add_reader(pidfd, seen)
    return partial(_forget, loop, pidfd)


def end(process: "subprocess.Popen[bytes]", line: socket.socket, pidfd: int) -> None:
    """Let it end, and wait for that."""
    line.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    with suppress(OSError):
        os.close(pidfd)


def _forget(loop: asyncio.AbstractEventLoop, pidfd: int) -> None:
    loop.remove_reader(pidfd)
