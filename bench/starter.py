"""Clients that have just started: another process forks one after the other, each with a connection of its own."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def starter(listener: socket.socket) -> Iterator[Callable[[], socket.socket]]:
    """A call that ends the client before and gives the server's end of a new one's connection."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _start_each(theirs, listener)
    theirs.close()

    def start() -> socket.socket:
        ours.send(b"1")
        return listener.accept()[0]

    try:
        yield start
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _start_each(asked: socket.socket, listener: socket.socket) -> None:
    address, before = listener.getsockname(), 0
    listener.close()
    while asked.recv(1):
        _end(before)
        before = os.fork()
        if before == 0:
            asked.close()
            held = socket.create_connection(address)
            signal.pause()
            held.close()
    _end(before)
    os._exit(0)


def _end(pid: int) -> None:
    if pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
