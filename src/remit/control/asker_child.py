"""The asker as a child of control: one terminal, one act; the terminal is given back however the child ends."""

import asyncio
import os
import socket
import subprocess
import sys
import termios
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, Final

from remit.errors import StateError
from remit.persons.asker_line import MAX_MESSAGE, SECONDS, Answer, Order, Outcome
from remit.persons.terminal_settings import give_back
from remit.sandbox.child import ENVIRONMENT

PROGRAM: Final = (sys.executable, "-I", "-m", "remit.persons.asker")
GRACE_SECONDS: Final = 5.0  # for its start, and its own end


class AskerChild:
    """A running one. `password_from` is what was typed, for the checker: who takes it closes it."""

    def __init__(self, terminal: int, program: Sequence[str] = PROGRAM) -> None:
        """`terminal` stays the caller's. Raises StateError when it can't be started, or has no settings."""
        try:
            self._before: list[Any] = termios.tcgetattr(terminal)
        except termios.error as error:
            raise StateError("the terminal has no settings") from error
        self._terminal = terminal
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.password_from, into = os.pipe()
        self._line.setblocking(False)
        try:
            self._process = _started(program, terminal, theirs.fileno(), into)
        except OSError as error:
            self._line.close()
            os.close(self.password_from)
            raise StateError(f"the asker can't be started: {error.strerror}") from error
        finally:
            theirs.close()
            os.close(into)

    def take_password(self) -> int:
        """The descriptor to read it from, now the caller's."""
        taken, self.password_from = self.password_from, -1
        return taken

    async def ask(self, order: Order, lost: Awaitable[None]) -> Answer:
        """Until the person has answered, or `lost` is done: then nobody waits for the answer any more."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            self._line.send(order.to_bytes())
        said = asyncio.ensure_future(loop.sock_recv(self._line, MAX_MESSAGE))
        gone = asyncio.ensure_future(lost)
        try:
            await asyncio.wait({said, gone}, timeout=SECONDS + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not said.done():
                return Answer(Outcome.GONE if gone.done() else Outcome.LATE)
            return Answer.parse(said.result())
        except (OSError, ValueError):  # it was ended
            return Answer(Outcome.GONE)
        finally:
            for task in (said, gone):
                task.cancel()
            await asyncio.gather(said, gone, return_exceptions=True)

    async def close(self, verdict: str = "") -> None:
        """Say what came of it, let the child end, and see that the terminal is as it was. May be called again."""
        if self._process.returncode is not None:
            return
        if verdict:
            with suppress(OSError):
                self._line.send(verdict.encode())
        self._line.close()
        if self.password_from >= 0:
            os.close(self.password_from)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await self._ended()
        finally:
            if self._process.poll() is None:
                self._process.kill()
            if self._process.wait() != 0:
                give_back(self._terminal, self._before)

    async def _ended(self) -> None:
        pidfd = os.pidfd_open(self._process.pid)
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(pidfd, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


def _started(program: Sequence[str], terminal: int, line: int, password: int) -> subprocess.Popen[bytes]:
    held = (terminal, line, password)
    given = (f"--{name}={fd}" for name, fd in zip(("terminal", "line", "password"), held, strict=True))
    return subprocess.Popen(
        [*program, *given],
        pass_fds=held,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
