"""One FastAPI application on one listening socket."""

import socket
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


async def run(api: FastAPI, protocol: type[HttpToolsProtocol], sock: socket.socket) -> Callable[[], Awaitable[None]]:
    """Serve `api` on `sock`; the returned function ends it."""
    config = uvicorn.Config(
        api, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[sock])

    async def close() -> None:
        server.should_exit = True
        await server.shutdown(sockets=[sock])

    return close
