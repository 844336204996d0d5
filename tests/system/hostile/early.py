"""Tries made before Remit starts, as a program could that its owner starts with the machine."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, answer_mine, attempt

RUN = "/run is root's: /run/remit is made by root, for Remit's own uid, before anything else"


def _listening(ports: Iterable[int]) -> list[socket.socket]:
    held = []
    for port in ports:
        with contextlib.suppress(OSError):
            held.append(socket.create_server(("127.0.0.1", port)))
    return held


@attempt(
    "early-tokens",
    "listen at the token endpoint's port before Remit starts, so that it does not start",
    "early-dead",
    "Remit starts without its token endpoint, and says so",
)
def early_tokens(target: Target) -> Iterator[Claim]:
    held = _listening([int(target.ready["tokens"].rpartition(":")[2])])
    yield {"held": len(held)}


@attempt(
    "early-all-ports",
    "listen at every port that a door could take before Remit starts, so that it does not start",
    "early-dead",
    "Remit starts with the doors that it has: the unix socket can't be taken",
)
def early_all_ports(target: Target) -> Iterator[Claim]:
    held = _listening(range(target.port, target.port + 250))
    yield {"held": len(held)}


@attempt(
    "early-socket",
    "make the directory of sockets before Remit starts, with a socket of its own in it",
    "early-marker",
    RUN,
)
def early_socket(target: Target) -> Iterator[Claim]:
    path = target.run / "control.sock"
    if target.run.exists():
        target.run.rename(target.run.with_name(f"run-{os.getpid()}"))
    target.run.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind(str(path))
        mine.listen()
        answer_mine(mine)
        yield {"unix": str(path)}


@attempt("early-link", "put a link where Remit's sockets will be before it starts", "early-link", RUN)
def early_link(target: Target) -> Iterator[Claim]:
    elsewhere = Path.home() / "elsewhere"
    elsewhere.mkdir(mode=0o700, exist_ok=True)
    if target.run.exists():
        target.run.rename(target.run.with_name(f"run-{os.getpid()}"))
    target.run.symlink_to(elsewhere)
    yield {"path": str(target.run)}
