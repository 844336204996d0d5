"""Serving HTTP/1.1 on a socket that somebody else bound."""

import asyncio
import socket
import ssl

from remit.gateway.limits import Limits
from remit.gateway.server_protocol import App, ServerProtocol
from remit.gateway.watch import Watch


class Listener(asyncio.AbstractServer):
    """A listening socket and the connections it accepted."""

    def __init__(self, server: asyncio.AbstractServer, watch: Watch[ServerProtocol]) -> None:
        self._server, self._watch = server, watch

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._watch)

    def close(self) -> None:
        """Accepts no more; idle connections end now, the others after the reply they are waiting for."""
        self._server.close()
        for protocol in self._watch.all:
            protocol.drain()

    def abort(self) -> None:
        """Accepts no more and cuts every connection; the exchanges on them are closed."""
        self._server.close()
        for protocol in self._watch.all:
            protocol.abort()

    async def wait_closed(self) -> None:
        """Waits until the last connection has ended; bound it, then `abort`."""
        await self._watch.emptied()
        await self._server.wait_closed()

    def is_serving(self) -> bool:
        return self._server.is_serving()

    async def start_serving(self) -> None:
        await self._server.start_serving()

    async def serve_forever(self) -> None:
        await self._server.serve_forever()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._server.get_loop()


async def serve(sock: socket.socket, app: App, limits: Limits, tls: ssl.SSLContext | None = None) -> Listener:
    """Serves `app` on `sock` (bound; TCP or unix stream) from now on, over `tls` if given."""
    loop = asyncio.get_running_loop()
    watch: Watch[ServerProtocol] = Watch(limits.sweep_seconds)

    def protocol() -> ServerProtocol:
        return ServerProtocol(app, limits, watch)

    handshake = limits.header_seconds if tls is not None else None
    if sock.family == socket.AF_UNIX:
        server = await loop.create_unix_server(protocol, sock=sock, ssl=tls, ssl_handshake_timeout=handshake)
    else:
        server = await loop.create_server(
            protocol, sock=sock, backlog=limits.connections, ssl=tls, ssl_handshake_timeout=handshake
        )
    return Listener(server, watch)
