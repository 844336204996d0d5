"""What passes between the attestor and those who ask it: fixed structures, one message a datagram, each bounded.

A line is a SOCK_SEQPACKET pair. Each question carries a number that its answer repeats with the pid, so that an
answer to a question nobody waits for any more is never taken for another's. The door is the one line that takes no
questions: new lines are handed in through it.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

MAX_MESSAGE: Final = 1 << 16
MAX_SOCKETS: Final = 1024  # or terminals, looked for at once
MAX_PIDS: Final = 512  # looked at in one question
MAX_PATH: Final = 4096  # linux/limits.h PATH_MAX

QUESTION: Final = struct.Struct("=IiI")  # number, pid, what is asked
ANSWER: Final = struct.Struct("=IiI")  # number, pid, errno: 0 and the facts follow
FILE: Final = struct.Struct("=5q")  # device, inode, size, mtime and ctime in ns
NAMED: Final = struct.Struct("=B2qHH32sB")  # there?, its device, inode; lengths of link, namespace; SHA-256, known?
MOST: Final = struct.Struct("=Q")  # the size up to which a file is hashed; its path may follow
SEARCH: Final = struct.Struct("=BIHH")  # how, descriptors that may be read, numbers, pids; those follow
FOUND: Final = struct.Struct("=HI")  # pids that were looked at, descriptors read; then for those that matter:
HOLDER: Final = struct.Struct("=iHH")  # pid, errno, how many it holds; then the index of each

# How: in each thread's table; terminals' masters by the number of each; one terminal by its file's device and inode.
EVERY_THREAD, MASTERS, TERMINAL = 1, 2, 4
OPEN, SOME_TERMINAL = 0, 1  # the indices of that terminal, and of /dev/tty, which may be any
OWN_TERMINAL: Final = os.makedev(5, 0)  # /dev/tty: that of whoever opened it, which nothing tells afterwards
TTY: Final = b"tty"
NO_FILE: Final = (b"socket:", b"pipe:", b"anon_inode:", b"/memfd:")

THERE, ELSEWHERE, HIDDEN = 0, 1, 2  # what lies at the link's path: a file, none, or it can't be told

HEAD_BYTES: Final = 16
KINDS: Final = (b"GGUF", b"lmgg", b"tjgg", b"algg", b"fmgg")  # how files of weights begin (models/files.py)
SAFETENSORS: Final = len(KINDS)
OTHER: Final = 254
IRREGULAR: Final = b"\xff"

ADOPT: Final = b"line"


class Ask(IntEnum):
    """The questions. Each is answered with facts about one pid (`HELD`: about several), never with contents."""

    FILE = 1  # which file it runs
    PROGRAM = 2  # that, its path and its SHA-256
    WATCH = 3  # that, with two descriptors that tell when it runs it no more
    AT_PATH = 4  # the file at a path as it sees it: its kind, path, SHA-256 and a descriptor that names it alone
    HELD = 5  # which of these sockets it holds, of which of these terminals the master, whether one terminal


Key = tuple[int, int, int, int, int]


def named(key: Key, there: tuple[int, int, int], link: bytes, namespace: bytes, digest: bytes | None) -> bytes:
    """A file with its link, what lies at the link's path, and the mount namespace it is seen from."""
    head = NAMED.pack(*there, len(link), len(namespace), digest or bytes(32), digest is not None)
    return FILE.pack(*key) + head + link + namespace


def names(how: int, numbers: Sequence[int]) -> list[bytes]:
    """What the kernel calls each thing that is looked for."""
    if how & TERMINAL:
        device, inode = numbers
        return [b"%d:%d" % (device, inode), TTY]
    form = b"tty-index:\t%d" if how & MASTERS else b"socket:[%d]"
    return [form % number for number in numbers]


def holders(facts: bytes) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(pid, errno, indices of what it holds) of each process that an answer to `HELD` tells of."""
    place = FOUND.size
    while place < len(facts):
        pid, code, count = HOLDER.unpack_from(facts, place)
        yield pid, code, struct.unpack_from(f"={count}H", facts, place + HOLDER.size)
        place += HOLDER.size + 2 * count


def kind(head: bytes) -> bytes:
    """One byte: of which kind of weights a file that begins so is. No more is told of it."""
    if len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000:
        return bytes([SAFETENSORS])
    return bytes([next((number for number, magic in enumerate(KINDS) if head.startswith(magic)), OTHER)])
