"""Who is at the other end of a unix socket, as the kernel recorded it when they connected."""

import socket
import struct
from dataclasses import dataclass
from typing import Final, Protocol

_UCRED: Final = struct.Struct("iII")  # unix(7), SO_PEERCRED: struct ucred is pid, uid, gid


class _Socket(Protocol):
    """What a socket, asyncio's TransportSocket and uvloop's PseudoSocket have in common here."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """The process that called `connect`, at that time. It may have passed the socket on, or ended, since:
    whoever attests `pid` must look at what it is now.
    """

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, connection: _Socket) -> "PeerCredentials":
        """Ask the kernel (SO_PEERCRED); raises OSError when it is no connected unix socket."""
        return cls(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))
