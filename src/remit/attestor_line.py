"""What passes between the attestor and those who ask it: fixed structures, one message a datagram, each bounded.

A line is a SOCK_SEQPACKET pair. Each question carries a number that its answer repeats with the pid, so that an
answer to a question nobody waits for any more is never taken for another's. The door is the one line that takes no
questions: new lines are handed in through it.
"""

import os
import struct
from enum import IntEnum
from typing import Final

MAX_MESSAGE: Final = 1 << 16
MAX_SOCKETS: Final = 1024  # or terminals, looked for at once
MAX_PIDS: Final = 512  # looked at in one question
MAX_PATH: Final = 4096  # linux/limits.h PATH_MAX

QUESTION: Final = struct.Struct("=IiI")  # number, pid, what is asked
ANSWER: Final = struct.Struct("=IiI")  # number, pid, errno: 0 and the facts follow
FILE: Final = struct.Struct("=5q")  # device, inode, size, mtime and ctime in ns
NAMED: Final = struct.Struct(
    "=B2qHH32sB"
)  # there?, its device, inode; lengths of link and namespace; SHA-256, known?
SEARCH: Final = struct.Struct("=BIHH")  # how, descriptors that may be read, numbers, pids; those follow
FOUND: Final = struct.Struct(
    "=HI"
)  # pids that were looked at, descriptors that were read; then for those that matter:
HOLDER: Final = struct.Struct("=iHH")  # pid, errno, how many it holds; then the index of each

EVERY_THREAD, MASTERS = 1, 2  # how: in each thread's table; the numbers are of terminals, not of sockets
PTMX: Final = os.makedev(5, 2)  # Documentation/admin-guide/devices.txt: what gives masters, whatever it is called

TERMINAL: Final = struct.Struct("=QQIH")  # its file's device and inode, descriptors that may be read, pids

OPEN, SOME_TERMINAL = 1, 2  # how one has it open: in `HOLDER` in place of a number; /dev/tty may be any

THERE, ELSEWHERE, HIDDEN = 0, 1, 2  # what lies at the link's path: a file, none, or it can't be told

ADOPT: Final = b"line"


class Ask(IntEnum):
    """The questions. Each is answered with facts about one pid (`HELD`, `TERMINAL`: several), never with contents."""

    FILE = 1  # which file it runs
    PROGRAM = 2  # that, its path and its SHA-256
    WATCH = 3  # that, with two descriptors that tell when it runs it no more
    SCRIPT = 4  # the file at a path as it sees it, its path and its SHA-256
    HELD = 5  # which of these sockets it holds, or of which of these terminals the master
    TERMINAL = 6  # whether it has one terminal open


Key = tuple[int, int, int, int, int]


def named(key: Key, there: tuple[int, int, int], link: bytes, namespace: bytes, digest: bytes | None) -> bytes:
    """A file with its link, what lies at the link's path, and the mount namespace it is seen from."""
    head = NAMED.pack(*there, len(link), len(namespace), digest or bytes(32), digest is not None)
    return FILE.pack(*key) + head + link + namespace
