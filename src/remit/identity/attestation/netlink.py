"""One question to the kernel's NETLINK_SOCK_DIAG, and its answers as raw bodies (netlink(7), sock_diag(7))."""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

SOCK_DIAG_BY_FAMILY: Final = 20  # linux/sock_diag.h
ANY_COOKIE: Final = 0xFFFFFFFF  # INET_DIAG_NOCOOKIE: the caller doesn't know the socket's cookie
ALL_STATES: Final = 0xFFFFFFFF
TCP_LISTEN: Final = 10  # include/net/tcp_states.h; unix sockets use the same number

_NETLINK_SOCK_DIAG: Final = 4  # linux/netlink.h
_REQUEST, _DUMP, _DUMP_INTERRUPTED = 0x1, 0x300, 0x10  # NLM_F_*
_ERROR, _DONE = 2, 3  # NLMSG_*
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_SEQUENCE: Final = 1
_RECEIVE_BYTES: Final = 1 << 16  # the kernel fills at most 32 KiB a dump message
MAX_DUMP_BYTES: Final = 64 << 20  # about 600,000 sockets


def ask(request: bytes, *, dump: bool = False) -> list[bytes]:
    """Send one sock_diag request; the bodies of the kernel's answers.

    Raises OSError: FileNotFoundError when there is no such socket *or* no such diag module, InterruptedError when the
    table changed under a dump, and others where netlink itself is not to be had. Never blocks: the kernel
    answers within `send`.
    """
    flags = _REQUEST | (_DUMP if dump else 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as kernel:
        kernel.setblocking(False)
        kernel.send(_HEADER.pack(_HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, flags, _SEQUENCE, 0) + request)
        if not dump:
            return list(messages(_receive(kernel)))[:1]
        return _receive_dump(kernel)


def _receive_dump(kernel: socket.socket) -> list[bytes]:
    bodies: list[bytes] = []
    budget = MAX_DUMP_BYTES
    while budget > 0:
        chunk = _receive(kernel)
        budget -= len(chunk)
        bodies += messages(chunk)
        if ends_dump(chunk):
            return bodies
    raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))


def _receive(kernel: socket.socket) -> bytes:
    chunk, (port, _groups) = kernel.recvfrom(_RECEIVE_BYTES)
    if port != 0:  # any process may send to a netlink port; only the kernel sends from port 0
        raise OSError(errno.EPROTO, "a netlink message that is not from the kernel")
    return chunk


def messages(chunk: bytes) -> Iterator[bytes]:
    """The bodies of the sock_diag messages in one received chunk; raises OSError for the error it carries."""
    for kind, flags, body in _split(chunk):
        if kind == _ERROR:
            number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
            raise OSError(number, os.strerror(number))
        if flags & _DUMP_INTERRUPTED:
            raise InterruptedError(errno.EINTR, "the socket table changed while it was read")
        if kind == SOCK_DIAG_BY_FAMILY:
            yield body


def ends_dump(chunk: bytes) -> bool:
    return any(kind == _DONE for kind, _, _ in _split(chunk))


def _split(chunk: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(chunk):
        length, kind, flags, _sequence, _port = _HEADER.unpack_from(chunk, at)
        if length < _HEADER.size or at + length > len(chunk):
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        yield kind, flags, chunk[at + _HEADER.size : at + length]
        at += (length + 3) & ~3  # NLMSG_ALIGN


def attributes(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, value) pairs of a block of netlink attributes; stops at the first malformed one."""
    at = 0
    while at + _ATTRIBUTE.size <= len(block):
        length, kind = _ATTRIBUTE.unpack_from(block, at)
        if length < _ATTRIBUTE.size or at + length > len(block):
            return
        yield kind, block[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3  # NLA_ALIGN
