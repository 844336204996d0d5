"""The fence: alone may change what the kernel refuses, and refuses nothing but calls to the addresses it is told.

`python -I -m remit.sandbox.fence --line FD`: FD is control's line (`fence_line.py`). It keeps CAP_NET_ADMIN of what
it is started with, opens one socket to nf_tables, and then opens, writes and starts nothing. It ends when the line is
closed; what it put in the kernel stays there.
"""

import argparse
import errno
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from remit.sandbox import capabilities, fence_table
from remit.sandbox import fence_line as line
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.nf_messages import listed
from remit.sandbox.seccomp import Argument, Filter

KEPT: Final = (capabilities.CAP_NET_ADMIN,)
NETLINK_NETFILTER: Final = 12  # linux/netlink.h
MEMORY_BYTES: Final = 1 << 28

# Why each is allowed: docs/fence.md.
FILTER: Final = Filter(
    allow=frozenset(
        word
        for line_of in (
            "read close recvfrom sendto mmap munmap mprotect mremap madvise brk futex rseq",
            "rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack getpid gettid getrandom clock_gettime",
            "restart_syscall exit exit_group fstat lseek",
        )
        for word in line_of.split()
    ),
    only={"write": (Argument(0, 0xFFFFFFFFFFFFFFFF, 2),)},
)


def main() -> int:
    """Become what the first lines say, then answer until the line is closed."""
    parser = argparse.ArgumentParser(prog="remit.sandbox.fence")
    parser.add_argument("--line", type=int, required=True)
    given = parser.parse_args().line
    close_fds({0, 1, 2, given})
    harden()
    capabilities.keep(KEPT)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    asker, uid = socket.socket(fileno=given), os.getuid()
    try:
        talk, broken = to_kernel(), 0
    except OSError as error:
        talk, broken = None, error.errno or errno.EIO
    FILTER.apply()
    serve(asker, talk, uid, broken)
    return 0


def to_kernel() -> socket.socket:
    """A socket to nf_tables; the kernel looks at who opened it, too. Raises OSError where there is none."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)


def serve(asker: socket.socket, talk: socket.socket | None, uid: int, broken: int = 0) -> None:
    """Answer until the line is closed or says what is no question; nothing is in force until it was asked for."""
    ways: frozenset[line.Way] = frozenset()
    while message := asker.recv(line.MAX_MESSAGE + 1):
        try:
            number, verb = line.QUESTION.unpack_from(message)
            if verb not in {line.STAND, line.READ}:
                return
            ways = line.ways_in(message) if verb == line.STAND else ways
        except (ValueError, struct.error):
            return
        code, stands = (broken, False) if talk is None else _answered(talk, ways, uid, put=verb == line.STAND)
        asker.send(line.ANSWER.pack(number, code, stands))


def _answered(talk: socket.socket, ways: frozenset[line.Way], uid: int, *, put: bool) -> tuple[int, bool]:
    """(errno, whether the kernel has that table), read back in either case."""
    try:
        if put:
            replace(talk, ways, uid)
        return 0, fence_table.stands(ways, uid, talk)
    except (OSError, ValueError) as error:
        return getattr(error, "errno", 0) or errno.EIO, False


def replace(talk: socket.socket, ways: Iterable[line.Way], uid: int) -> None:
    """Make the table this one, at once; raises OSError with the kernel's reason. It answers before `send` returns."""
    fence_table.empty(talk)
    talk.send(fence_table.replacing(ways, uid))
    for answer in fence_table.waiting(talk):
        listed(answer)


def lift() -> None:
    """As root: nothing of Remit's stays in the kernel. Of no effect where it never could be there."""
    with suppress(OSError), to_kernel() as talk:
        replace(talk, (), 0)


if __name__ == "__main__":
    sys.exit(main())
