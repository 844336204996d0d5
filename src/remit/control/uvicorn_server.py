"""One FastAPI application on its listening sockets."""

import socket
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


async def run(
    api: FastAPI, protocol: type[HttpToolsProtocol], *socks: socket.socket
) -> Callable[[], Awaitable[None]]:
    """Serve `api` on `socks`; the returned function ends it."""
    config = uvicorn.Config(
        api, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=list(socks))

    async def close() -> None:
        server.should_exit = True
        await server.shutdown(sockets=list(socks))

    return close
