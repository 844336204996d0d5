"""Processes that hold many open TCP sockets: `python -m bench.crowd SOCKETS` is one of them, until it is killed."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.peers import ROOT

EACH = 500  # sockets a process


@contextmanager
def open_sockets(count: int) -> Iterator[None]:
    """`count` connected loopback sockets, both ends of each connection in one of the processes."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.crowd", str(EACH)]
        holders = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))
            for _ in range(count // EACH)
        ]
        for holder in holders:
            stack.callback(holder.kill)
        for holder in holders:
            assert holder.stdout is not None
            holder.stdout.readline()
        yield


def main(count: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listener:
        ends = [socket.create_connection(listener.getsockname()) for _ in range(count // 2)]
        ends += [listener.accept()[0] for _ in range(count // 2)]
        print(len(ends), flush=True)
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
