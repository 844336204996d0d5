"""Questions to the attestor over a few lines, each in the hands of one thread at a time."""

import os
import queue
import socket
from collections.abc import Sequence
from typing import Final

from remit import attestor_line as line
from remit.attestor_line import Ask

_MAX_FDS: Final = 2


class GoneError(OSError):
    """The attestor has ended, or a line to it broke."""


class Lines:
    """Safe to share between threads; who asks waits for a free line. A line that breaks takes the others with it."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        if not sockets:
            raise ValueError("no line to the attestor")
        self._all = tuple(sockets)
        self._free: queue.LifoQueue[socket.socket] = queue.LifoQueue()
        self._number = 0
        self.gone = False
        for one in self._all:
            one.setblocking(True)
            self._free.put(one)

    def ask(self, what: Ask, pid: int, more: bytes = b"") -> tuple[bytes, list[int]]:
        """The facts, and the descriptors that came with them, which are the caller's to close.

        Blocks, also while a new file is hashed. Raises GoneError, or OSError with what the kernel told the attestor.
        """
        one = self._free.get()
        try:
            return self._ask(one, what, pid, more)
        finally:
            self._free.put(one)

    def _ask(self, one: socket.socket, what: Ask, pid: int, more: bytes) -> tuple[bytes, list[int]]:
        if self.gone:
            raise GoneError("the attestor is gone")
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        try:
            one.send(line.QUESTION.pack(number, pid, what) + more)
            while True:
                answer, fds, _, _ = socket.recv_fds(one, line.MAX_MESSAGE, _MAX_FDS, socket.MSG_CMSG_CLOEXEC)
                if len(answer) < line.ANSWER.size:
                    raise GoneError("the attestor is gone")
                told, of, code = line.ANSWER.unpack_from(answer)
                if (told, of) == (number, pid):
                    break
                _close(fds)  # of a question whose asker was interrupted
        except OSError as error:
            self.gone = True
            raise GoneError(error.errno, "the attestor is gone") from error
        if code:
            _close(fds)
            raise OSError(code, os.strerror(code))
        return answer[line.ANSWER.size :], fds

    def close(self) -> None:
        """Let go of the lines; the attestor ends what it does for them. At the latest when this is collected."""
        self.gone = True
        for one in self._all:
            one.close()

    def __del__(self) -> None:
        if hasattr(self, "_all"):
            self.close()


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
