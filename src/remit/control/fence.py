"""The fence as a child of control: given CAP_NET_ADMIN where control was started with it, and one line to ask on.

Like the attestor it must be started before control gives its capabilities up, and can't be started again afterwards.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from remit.control import privileged
from remit.errors import StateError
from remit.sandbox import capabilities, fence_line
from remit.sandbox.child import ENVIRONMENT
from remit.sandbox.fence_line import Way

PROGRAM: Final = (sys.executable, "-I", "-m", "remit.sandbox.fence")
ANSWER_SECONDS: Final = 5.0  # it takes 2 ms; a machine may be busy


class Fence:
    """A running one. It ends when `close` is called or control ends; what it refuses stays refused then."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self.process, self._line = process, line
        self._pidfd = os.pidfd_open(process.pid)
        self._one = asyncio.Lock()
        self._number = 0
        line.setblocking(False)

    async def stand(self, ways: Iterable[Way]) -> None:
        """Refuse calls to these and to nothing else; returns once the kernel says that it does.

        Raises StateError with the reason when it doesn't.
        """
        if not await self._asked(fence_line.STAND, ways):
            raise StateError("the kernel's table is not what was put there")

    async def stands(self) -> bool:
        """Whether the kernel's table still is what was put there. Raises StateError when that can't be told."""
        return await self._asked(fence_line.READ)

    async def _asked(self, verb: int, ways: Iterable[Way] = ()) -> bool:
        async with self._one:
            self._number += 1
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    code, stands = await self._exchange(fence_line.packed(self._number, verb, ways))
            except (OSError, TimeoutError) as error:
                raise StateError("the fence does not answer") from error
        if code:
            raise StateError(f"the kernel refuses: {os.strerror(code)}")
        return stands

    async def _exchange(self, question: bytes) -> tuple[int, bool]:
        """The answer to this question: one that came too late for an earlier one is passed over."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._line, question)
        while True:
            answer = await loop.sock_recv(self._line, fence_line.ANSWER.size)
            if len(answer) != fence_line.ANSWER.size:
                raise ConnectionResetError
            number, code, stands = fence_line.ANSWER.unpack(answer)
            if number == self._number:
                return code, stands

    def mind(self, ended: Callable[[int], None]) -> Callable[[], None]:
        """Call `ended` with its exit status when it ends; what is returned stops minding it."""
        return privileged.minded(self.process, self._pidfd, ended)

    def close(self) -> None:
        """Let it end, and wait for that."""
        privileged.end(self.process, self._line, self._pidfd)


def start_fence(program: Sequence[str] = PROGRAM) -> Fence | None:
    """Start it; None without CAP_NET_ADMIN, as in a container that leaves root none: then nothing can be refused."""
    if capabilities.CAP_NET_ADMIN not in capabilities.held():
        return None
    process, ours = privileged.started(program, ENVIRONMENT)
    return Fence(process, ours)
