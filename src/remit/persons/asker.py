"""The asker: shows a person on their terminal what is asked for, and takes a password that only the checker gets.

`python -I -m remit.persons.asker --terminal FD --line FD --password FD`: a child of control, one an act. It holds the
terminal, a line to control (`asker_line.py`) and the end of a pipe that the checker reads, and nothing else. It
gives the terminal back as it found it, however it ends; where it is killed, control does (`control/asking.py`).
"""

import argparse
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from remit.persons.asker_line import MAX_MESSAGE, SECONDS, Answer, Order, Outcome
from remit.persons.drawn import CLEAN, MORE, pages, question
from remit.persons.terminal_settings import give_back
from remit.persons.typed_line import TypedLine, Typing
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.seccomp import Argument, Filter

VERDICT_SECONDS: Final = 40.0  # more than control waits for the checker
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_IUTF8: Final = 0x4000  # asm-generic/termbits.h: the terminal's own word that its keys are UTF-8
_ALL: Final = 0xFFFFFFFFFFFFFFFF

FILTER: Final = Filter(
    allow=frozenset(
        word
        for line_of in (
            "read write close poll ppoll recvfrom sendto brk munmap madvise mremap futex rt_sigreturn rt_sigprocmask",
            "rt_sigaction sigaltstack clock_gettime clock_nanosleep getrandom fstat newfstatat lseek sched_yield",
            "restart_syscall exit exit_group fcntl",
        )
        for word in line_of.split()
    ),
    only={
        "ioctl": (Argument(1, _ALL & ~0xF, 0x5400),),  # settings (TCGETS to TCSETAF), TIOCEXCL: not TIOCSTI (0x5412)
        "mmap": (Argument(2, 4, 0),),  # nothing executable
        "mprotect": (Argument(2, 4, 0),),
    },
)


class _StopError(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def main() -> int:
    """Ask once."""
    parser = argparse.ArgumentParser(prog="remit.persons.asker")
    for name in ("terminal", "line", "password"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    close_fds({0, 1, 2, given.terminal, given.line, given.password})
    harden()
    for number in _ENDS:
        signal.signal(number, _stop)
    line = socket.socket(fileno=given.line)
    asker = Asker(given.terminal, line, time.monotonic() + SECONDS)
    order = Order.parse(line.recv(MAX_MESSAGE))
    os.set_blocking(given.terminal, False)
    FILTER.apply()
    try:
        answer = asker.ask(order, given.password)
    except _StopError as stopped:
        answer = Answer(stopped.outcome)
    os.close(given.password)  # what was typed ends here, for whoever reads it
    with suppress(OSError, _StopError):
        line.send(answer.to_bytes())
        asker.verdict()
    return 0


def _stop(_number: int, _frame: object) -> None:
    """Once: what is given back then is given back to its end."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise _StopError(Outcome.REFUSED)


class Asker:
    """One terminal, until `deadline` (monotonic seconds)."""

    def __init__(self, terminal: int, line: socket.socket, deadline: float) -> None:
        self._terminal, self._line, self._deadline = terminal, line, deadline
        self._size = _size(terminal)

    def ask(self, order: Order, password: int) -> Answer:
        """Show all of it, then take one line; the terminal's settings are as before after it."""
        with self._own_settings() as utf8:
            self._show(order, utf8)
            typed = TypedLine()
            try:
                self._type(typed, echo=bool(order.code))
                if order.code:
                    return Answer(Outcome.TYPED, typed.data.decode("ascii", "replace"))
                if not typed.data:
                    return Answer(Outcome.REFUSED)
                os.write(password, typed.data)
                return Answer(Outcome.TYPED)
            finally:
                typed.overwrite()
                with suppress(_StopError):
                    self._draw("\r\n")

    def verdict(self) -> None:
        """What came of it, from control, in one line."""
        waiting = select.poll()
        waiting.register(self._line, select.POLLIN)
        if waiting.poll(VERDICT_SECONDS * 1000) and (said := self._line.recv(MAX_MESSAGE)):
            with suppress(OSError):  # one that takes nothing now is not waited for
                os.write(self._terminal, b"%s\r\n" % said)

    @contextmanager
    def _own_settings(self) -> Iterator[bool]:
        """Keys as they are typed, no echo, no signals, nothing that was typed before."""
        try:
            before = termios.tcgetattr(self._terminal)
            mine = list(before)
            mine[0] &= ~(termios.IXON | termios.ISTRIP | termios.INLCR | termios.IGNCR)
            mine[0] |= termios.ICRNL
            mine[1] |= termios.OPOST
            mine[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
            mine[6] = [*before[6]]
            mine[6][termios.VMIN], mine[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._terminal, termios.TCSAFLUSH, mine)
            ours = termios.tcgetattr(self._terminal)
        except (termios.error, OSError):
            raise _StopError(Outcome.UNFIT) from None
        try:
            yield bool(before[0] & _IUTF8)
        finally:
            give_back(self._terminal, before, termios.TCSAFLUSH, ours)

    def _show(self, order: Order, utf8: bool) -> None:
        rows, columns = self._size
        self._draw(CLEAN)
        drawn = pages(order, rows, columns, utf8=utf8)
        for number, page in enumerate(drawn, 1):
            self._draw("".join(f"{row}\r\n" for row in page))
            if number < len(drawn):
                self._draw(MORE)
                self._type(TypedLine(), echo=False)
                self._draw("\r\n")
        self._draw(question(order))

    def _type(self, into: TypedLine, *, echo: bool) -> None:
        """Until its end; raises _StopError for a person who refuses."""
        while True:
            self._wait(select.POLLIN)
            key = self._read()
            match into.feed(key[0]):
                case Typing.DONE:
                    return
                case Typing.REFUSED:
                    raise _StopError(Outcome.REFUSED)
                case Typing.TOO_LONG:
                    raise _StopError(Outcome.LONG)
            if echo and key.isalnum():
                self._draw(key.decode("ascii"))

    def _read(self) -> bytes:
        try:
            key = os.read(self._terminal, 1)
        except OSError:
            key = b""
        if not key:
            raise _StopError(Outcome.GONE)
        return key

    def _draw(self, text: str) -> None:
        left = text.encode()
        while left:
            self._wait(select.POLLOUT)
            try:
                left = left[os.write(self._terminal, left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _StopError(Outcome.GONE) from None

    def _wait(self, wanted: int) -> None:
        """For the terminal; whatever control says, or its end, ends the asking."""
        waiting = select.poll()
        waiting.register(self._terminal, wanted)
        waiting.register(self._line, select.POLLIN)
        ready = dict(waiting.poll(max(0.0, self._deadline - time.monotonic()) * 1000))
        if not ready:
            raise _StopError(Outcome.LATE)
        if self._line.fileno() in ready:
            raise _StopError(Outcome.REFUSED)
        if ready[self._terminal] & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            raise _StopError(Outcome.GONE)


def _size(terminal: int) -> tuple[int, int]:
    """Rows and columns, 0 where it doesn't tell."""
    try:
        rows, columns, _, _ = struct.unpack("=4H", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return 0, 0
    return rows, columns


if __name__ == "__main__":
    sys.exit(main())
