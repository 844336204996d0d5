"""Starting one of Remit's own processes: isolated interpreter, one inherited socketpair, known by its pidfd."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from remit.sandbox.channel import Channel

STOP_SECONDS: Final = 5.0
ENVIRONMENT: Final = {"LANG": "C.UTF-8"}  # of ours nothing: it may hold secrets, and proxies that reroute


@dataclass(frozen=True, slots=True)
class Child:
    """A running child: `channel` is our end of its link; `pidfd` names it even when its pid is reused."""

    process: subprocess.Popen[bytes]
    pidfd: int
    channel: Channel

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ended(self) -> int:
        """Wait for the child's end; its exit status (negative: the signal's number)."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        loop.add_reader(self.pidfd, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(self.pidfd)
        return self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it after STOP_SECONDS; returns when it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.ended(), STOP_SECONDS)
            except TimeoutError:
                self.process.kill()
                await self.ended()
        self.channel.close()

    def forget(self) -> None:
        """Close what control holds of an ended child."""
        self.channel.close()
        os.close(self.pidfd)


def start_child(module: str, *arguments: str) -> Child:
    """Start `python -I -m module … --link FD`, with nothing inherited but the link and stderr."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", module, *arguments, "--link", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    return Child(process, os.pidfd_open(process.pid), Channel(ours))
