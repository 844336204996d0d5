"""One FastAPI application on its listening sockets."""

import socket
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from remit import __version__

MAX_BODY_BYTES: Final = 256 << 10  # sixteen times the longest thing in one, an ID token


def application(title: str) -> FastAPI:
    """One that shows no pages of its own. A body is read before anybody is admitted, so none is longer than that."""
    return FastAPI(
        title=title,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=MAX_BODY_BYTES,
    )


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
