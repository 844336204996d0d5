"""The socket tables as text, `/proc/net/tcp`, `tcp6` and `unix`: where netlink is not to be had (proc(5))."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation.shortage import is_shortage, refused

MAX_TABLE_BYTES: Final = 64 << 20  # about 400,000 lines of 150 bytes
_LISTENING_FLAG: Final = 0x10000  # __SO_ACCEPTCON, shown in /proc/net/unix as Flags
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"  # RFC 4291, 2.5.5.2
_STATE, _UID, _INODE = 3, 7, 9  # columns of /proc/net/tcp


def read_table(name: str) -> bytes:
    """One table of this network namespace; empty where the kernel has none (IPv6 off)."""
    try:
        with Path("/proc/net", name).open("rb") as table:
            text = table.read(MAX_TABLE_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if is_shortage(error):
            raise refused(error) from error
        raise AttestationError(f"can't read `/proc/net/{name}`: {error.strerror}") from error
    if len(text) > MAX_TABLE_BYTES:
        raise AttestationError(f"`/proc/net/{name}` is larger than {MAX_TABLE_BYTES} bytes")
    return text


def hex_end(packed: bytes, port: int) -> bytes:
    """One end of a connection as the table writes it: 32-bit words in host order, then the port."""
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return b"%b:%04X" % (b"".join(b"%08X" % word for word in words), port)


def ends_in_table(local: tuple[bytes, int], remote: tuple[bytes, int]) -> Iterator[tuple[str, bytes]]:
    """Where a connection may be listed: an IPv4 one also in `tcp6`, mapped, when its socket is an IPv6 one."""
    if len(local[0]) == 4:
        yield "tcp", hex_end(*local) + b" " + hex_end(*remote)
        local, remote = (_MAPPED + local[0], local[1]), (_MAPPED + remote[0], remote[1])
    yield "tcp6", hex_end(*local) + b" " + hex_end(*remote)


def find_connection(table: bytes, ends: bytes) -> tuple[int, int, int] | None:
    """(state, uid, inode) of the line with these ends (as `ends_in_table` writes them), or None."""
    at = table.find(b" " + ends + b" ")
    if at < 0:
        return None
    columns = table[table.rfind(b"\n", 0, at) + 1 :].split(b"\n", 1)[0].split()
    return int(columns[_STATE], 16), int(columns[_UID]), int(columns[_INODE])


def listening(table: bytes) -> Iterator[tuple[str, int, int, int]]:
    """(address, port, uid, inode) of each listening socket in a `tcp` or `tcp6` table."""
    for line in table.split(b"\n")[1:]:
        columns = line.split()
        if len(columns) > _INODE and columns[_STATE] == b"0A":
            address, port = _parse_end(columns[1])
            yield address, port, int(columns[_UID]), int(columns[_INODE])


def _parse_end(text: bytes) -> tuple[str, int]:
    words, _, port = text.partition(b":")
    packed = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


def listening_unix(table: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, inode) of each listening socket in the `unix` table.

    A name with a newline in it can forge a line here (unix_diag can't be fooled so): what is found is only a
    place to look, never an identity.
    """
    for line in table.split(b"\n")[1:]:
        columns = line.split(None, 7)  # Num RefCount Protocol Flags Type St Inode, then the name as it is
        if len(columns) == 8 and int(columns[3], 16) & _LISTENING_FLAG:
            yield columns[7], int(columns[6])
