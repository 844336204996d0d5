"""The doors of a worker: sockets that control hands it, what answers at each, and the TLS in front of some."""

import socket
import ssl
from collections.abc import Awaitable, Callable

from remit.config import GatewaySettings
from remit.errors import StateError
from remit.gateway import mutual_tls
from remit.gateway.answering import Door
from remit.gateway.decisions.authzen_door import AuthzenDoor
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.http1 import Listener, serve
from remit.gateway.limits import Limits
from remit.gateway.server_protocol import App
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.policy.link import DoorKind, Listen, Skin
from remit.secret import Secret


class Doors:
    """Those that are open. TLS has the SVID and the authorities as they are now, from each next handshake on."""

    def __init__(self, settings: GatewaySettings, unidentified: Unidentified) -> None:
        self._limits, self._unidentified = _limits(settings), unidentified
        self._servers: list[Listener] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._svid: Secret | None = None
        self._contexts: list[ssl.SSLContext] = []

    def take_svid(self, pem: Secret) -> None:
        self._svid = pem
        for context in self._contexts:
            mutual_tls.load(context, pem)

    def trust(self, authorities: list[bytes]) -> None:
        """Take these authorities beside those that are trusted: DER certificates."""
        for context in self._contexts:
            mutual_tls.trust(context, authorities)

    async def open(self, door: Listen, sock: socket.socket, zone: Zone, deciding: Callable[[], Decisions]) -> None:
        """Serve `sock`. `deciding` gives what decides for other enforcement points, where they ask here."""
        if door.skin is Skin.EXT_AUTHZ:
            await self._serve_envoy(door, sock, zone, deciding())
            return
        tls = self._tls(zone) if door.kind is DoorKind.TLS else None
        hosts = None if door.kind is DoorKind.UNIX else _hosts(sock)
        self._servers.append(await serve(sock, self._behind(door, zone, hosts, deciding), self._limits, tls))

    async def begin_to_close(self) -> None:
        """Idle connections end, and nobody new is served; calls under way go on."""
        for close in self._closing:
            await close()
        for server in self._servers:
            server.close()

    def abort(self) -> None:
        for server in self._servers:
            server.abort()

    async def _serve_envoy(self, door: Listen, sock: socket.socket, zone: Zone, decisions: Decisions) -> None:
        from remit.gateway.decisions.ext_authz import ExtAuthz  # noqa: PLC0415 (5 MiB that no other worker pays)

        service = ExtAuthz(zone, door.workload, self._unidentified, decisions.is_point)
        await service.serve(sock)
        self._closing.append(service.close)

    def _behind(
        self, door: Listen, zone: Zone, hosts: frozenset[str] | None, deciding: Callable[[], Decisions]
    ) -> App:
        """What answers at this door."""
        if door.skin is Skin.AUTHZEN:
            url = door.url if door.kind is not DoorKind.UNIX else ""
            return AuthzenDoor(deciding(), door.workload, url, self._unidentified, hosts)
        return Door(zone, door.workload, self._unidentified, hosts)

    def _tls(self, zone: Zone) -> ssl.SSLContext:
        if self._svid is None:
            raise StateError("a TLS socket came before this gateway's SVID")
        context = mutual_tls.server_context(self._svid, zone.snapshot.x509_authorities)
        self._contexts.append(context)
        return context


def _hosts(sock: socket.socket) -> frozenset[str]:
    """The Host headers that mean this loopback socket."""
    port = sock.getsockname()[1]
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


def _limits(settings: GatewaySettings) -> Limits:
    return Limits(
        body_bytes=settings.body_bytes,
        connections=settings.connections,
        header_seconds=settings.header_seconds,
        idle_seconds=settings.idle_seconds,
    )
