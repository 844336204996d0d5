"""Tries to keep others out by sheer number: connections, and requests that never end."""

import os
import resource
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import SECONDS, Claim, Target, attempt, heard

HELD = 6000  # of one process; what is looked at may have 20,000 descriptors on such a machine


def _hold(path: Path | None, port: int, begun: bytes = b"") -> list[socket.socket]:
    """All that can be had in some seconds, by somebody who tries again and again."""
    held: list[socket.socket] = []
    end = time.monotonic() + SECONDS
    while len(held) < HELD and time.monotonic() < end:
        line = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        line.settimeout(0.5)
        try:
            line.connect(str(path) if path else ("127.0.0.1", port))
            line.sendall(begun)
            held.append(line)
        except OSError:
            line.close()
            time.sleep(0.01)
    return held


@attempt(
    "many-connections",
    "hold as many connections as control, the Workload API and the gateway take",
    "others-wait",
    "who says nothing gives way: others are answered within 20 s",
)
def many_connections(target: Target) -> Iterator[Claim]:
    """From many processes: each may have only so many descriptors."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told, tell = os.pipe()
    places = [*sorted(target.run.glob("*.sock")), None] * 3
    for place in places:
        if os.fork() == 0:
            held = _hold(place, target.port)
            os.write(tell, struct.pack("=I", len(held)))
            signal.pause()
    counts = [struct.unpack("=I", os.read(told, 4))[0] for _ in places]
    heard(f"held: {counts}")
    yield {"held": sum(counts), "pid": os.getpid()}


@attempt(
    "slow-requests",
    "begin requests at the door and never end them",
    "others-wait",
    "a request that isn't all there gives way: others are answered meanwhile",
)
def slow_requests(target: Target) -> Iterator[Claim]:
    begun = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
    held = _hold(None, target.port, begun)
    yield {"held": len(held), "pid": os.getpid()}
