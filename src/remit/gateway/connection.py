"""One accepted connection as the application sees it: where it comes from, what proves it, and how to cut it."""

import asyncio
import socket
import ssl
from typing import Any, Literal, TypeAlias

from remit.gateway.mutual_tls import presented

Transport: TypeAlias = Literal["tcp", "unix", "tls"]
Address: TypeAlias = tuple[Any, ...] | str


class Connection:
    """Facts about a caller's connection, none of them the caller's word. `state` is the application's own slot."""

    __slots__ = ("_transport", "abort_reason", "kind", "local", "remote", "state")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.kind: Transport = _kind(transport)
        self.local: Address = transport.get_extra_info("sockname")
        self.remote: Address = transport.get_extra_info("peername")
        self.state: Any = None
        self.abort_reason = ""

    @property
    def sock(self) -> socket.socket:
        """The socket itself, for `SO_PEERCRED` and the like; reading or writing it breaks the connection."""
        sock: socket.socket = self._transport.get_extra_info("socket")
        return sock

    @property
    def peer_certificate(self) -> bytes | None:
        """The caller's certificate as DER, verified as the listener's `SSLContext` says; None without one."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True) if tls is not None else None

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """All certificates that the caller presented, as DER, its own first; empty without any."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return presented(tls) if tls is not None else ()

    @property
    def closed(self) -> bool:
        """True once nothing more can be sent."""
        return self._transport.is_closing()

    def abort(self, reason: str) -> None:
        """Cuts the connection now, unsent bytes are dropped, and a running exchange is closed."""
        self.abort_reason = self.abort_reason or reason
        self._transport.abort()


def _kind(transport: asyncio.Transport) -> Transport:
    if transport.get_extra_info("ssl_object") is not None:
        return "tls"
    return "unix" if transport.get_extra_info("socket").family == socket.AF_UNIX else "tcp"
