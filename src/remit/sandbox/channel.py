"""One end of the socketpair between control and a worker: framed messages, with file descriptors beside them."""

import asyncio
import os
import socket
from collections import deque
from typing import Any, Final

from remit.errors import ProtocolError, StateError
from remit.policy.frames import Unpacker, pack
from remit.policy.link import Message
from remit.policy.link_json import decode, encode

READ_BYTES: Final = 1 << 18
MAX_FDS: Final = 64


class Channel:
    """Framed messages over an inherited stream socket. Not thread-safe: one event loop owns it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._frames = Unpacker()
        self._inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._fds: deque[int] = deque()
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._closed = False
        self._broken: ProtocolError | None = None
        self._loop.add_reader(sock, self._readable)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Queue one message; `fds` are duplicated into the other process. Raises StateError once the peer is gone."""
        if self._closed:
            raise StateError("the process at the other end of the link is gone")
        duplicates = tuple(os.dup(fd) for fd in fds)  # they must live until the message is sent
        self._outbox.append((pack(encode(message)), duplicates))
        self._writable()

    async def receive(self) -> Message | None:
        """The next message, or None when the other end is gone.

        Raises ProtocolError for what is no message of the link: then it is not to be used again.
        """
        row = await self._inbox.get()
        if row is not None:
            return decode(row)
        if self._broken is not None:
            raise self._broken
        return None

    def take_fds(self, count: int) -> list[int]:
        """The next `count` descriptors that came with messages, in order; the caller owns them."""
        if len(self._fds) < count:
            raise StateError(f"the link announced {count} descriptors and brought {len(self._fds)}")
        return [self._fds.popleft() for _ in range(count)]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        for _, fds in self._outbox:
            _close_all(fds)
        self._outbox.clear()
        _close_all(tuple(self._fds))
        self._fds.clear()
        self._sock.close()
        self._inbox.put_nowait(None)

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, READ_BYTES, MAX_FDS)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds.extend(fds)
        if not data:
            self.close()
            return
        try:
            rows = self._frames.feed(data)
        except ProtocolError as error:
            self._broken = error  # whoever receives it ends what is at the other end
            self.close()
            return
        for row in rows:
            self._inbox.put_nowait(row)

    def _writable(self) -> None:
        while self._outbox:
            frame, fds = self._outbox.popleft()
            try:
                sent = socket.send_fds(self._sock, [frame], list(fds)) if fds else self._sock.send(frame)
            except BlockingIOError:
                self._outbox.appendleft((frame, fds))
                self._loop.add_writer(self._sock, self._writable)
                return
            except OSError:
                _close_all(fds)
                self.close()
                return
            _close_all(fds)
            if sent < len(frame):
                self._outbox.appendleft((frame[sent:], ()))
        self._loop.remove_writer(self._sock)


def _close_all(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)
