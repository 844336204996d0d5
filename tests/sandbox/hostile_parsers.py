"""Parsers that a hostile file took over, run as `parse` runs its own: each tries what no parser may."""

import ctypes
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from remit.errors import ModelError
from remit.sandbox.parse import answer

CONTROL = os.getppid()
LIBC = ctypes.CDLL(None)
PTRACE_ATTACH = 16


def endless(_: BinaryIO) -> Any:
    while True:
        pass


def refuses(_: BinaryIO) -> Any:
    raise ModelError("this is no such file")


def allocates(_: BinaryIO) -> Any:
    return len(bytearray(10 << 30))


def answers_late(file: BinaryIO) -> Any:
    """An answer, and then no end."""
    os.write(1, b'{"value": 1}')
    os.close(1)
    endless(file)


TRIES: dict[str, Callable[[BinaryIO], Any]] = {
    "opens": lambda _: Path("/etc/passwd").read_text(),
    "writes_a_file": lambda _: Path("/tmp/remit-was-here").write_text("x"),
    "reads_the_environment_of_control": lambda _: Path(f"/proc/{CONTROL}/environ").read_bytes(),
    "connects": lambda _: socket.create_connection(("127.0.0.1", 9)),
    "makes_a_socket": lambda _: socket.socketpair(),
    "forks": lambda _: os.fork(),
    "executes": lambda _: os.execv("/bin/true", ["true"]),
    "kills_control": lambda _: os.kill(CONTROL, signal.SIGTERM),
    "traces_control": lambda _: LIBC.ptrace(PTRACE_ATTACH, CONTROL, 0, 0),
    "makes_code": lambda _: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "writes_to_its_file": lambda _: os.write(0, b"x"),
    "duplicates": lambda _: os.dup(1),
    "raises_its_limits": lambda _: __import__("resource").setrlimit(7, (64, 64)),
    "crashes": lambda _: ctypes.string_at(0),
    "answers_1_gb": lambda _: [os.write(1, bytes(1 << 20)) for _ in range(1024)],
    "answers_no_json": lambda _: (os.write(1, b"[" * 60_000), os._exit(0)),
    "answers_half": lambda _: (os.write(1, b'{"val'), os._exit(0)),
    "answers_nothing": lambda _: os._exit(0),
    "allocates": allocates,
    "endless": endless,
    "answers_late": answers_late,
    "refuses": refuses,
    "reads": lambda file: file.read(5).decode(),
}

if __name__ == "__main__":
    answer(TRIES, sys.argv[1])
