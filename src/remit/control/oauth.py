"""The token endpoint on loopback HTTP: token exchange, revocation, and what clients read to find them."""

import contextlib
import socket
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from remit.control import oauth_form, uvicorn_server
from remit.control.clients import Client, Clients
from remit.control.identity_source import IdentitySource
from remit.control.oauth_form import MAX_FORM_BYTES, bad
from remit.control.token_endpoint import TokenEndpoint
from remit.errors import AttestationError, RemitError, StateError
from remit.identity.oidc import DISCOVERY_PATH, KEYS_PATH, authorization_server, discovery
from remit.tasks.declaration import ACTIONS
from remit.tasks.delegation import UNAVAILABLE, DelegationError

METADATA_PATH: Final = ".well-known/oauth-authorization-server"  # RFC 8414 3
MAX_CONNECTIONS: Final = 128
CONNECTION_SECONDS: Final = 60.0  # of a connection, whatever it does
FORM: Final = "application/x-www-form-urlencoded"
NO_STORE: Final = {"cache-control": "no-store"}  # RFC 6749 5.1
STATUS: Final = {"invalid_client": 401, UNAVAILABLE: 503, "server_error": 500}  # RFC 6749 5.2, RFC 7009 2.2.1


class EndsProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with both ends of the connection in each request's state, and an end to each.

    Anybody on this machine can connect: without a most they would have all of control's descriptors.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        self._end = self.loop.call_later(CONNECTION_SECONDS, transport.close)
        theirs, ours = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.app_state = {**self.app_state, "ends": (theirs[:2], ours[:2])}

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)


def build(endpoint: TokenEndpoint, source: IdentitySource, clients: Clients, base: str) -> FastAPI:
    """The application at `base`. Whoever asks for something is attested; what is public is read by anybody."""
    api = FastAPI(title="Remit token endpoint", docs_url=None, redoc_url=None, openapi_url=None)
    api.add_exception_handler(RemitError, _answer_error)
    api.add_exception_handler(HTTPException, _answer_nothing_here)
    host = base.removeprefix("http://")

    async def asked(request: Request) -> tuple[Client, dict[str, list[str]]]:
        """Who asks and what, in this order: what can't be attested is not read."""
        _no_page(request, host)
        client = await clients.at(*request.state.ends)
        return client, oauth_form.fields(await _body(request))

    @api.post("/token")
    async def token(request: Request) -> JSONResponse:
        client, form = await asked(request)
        return JSONResponse(await endpoint.exchange(client, oauth_form.exchange(form)), headers=NO_STORE)

    @api.post("/revoke")
    async def revoke(request: Request) -> Response:
        client, form = await asked(request)
        meant = oauth_form.one(form, "token")
        if meant is None:
            raise bad("`token` is needed")
        await endpoint.revoke(client, meant, oauth_form.assertion(form))
        return Response(status_code=200, headers=NO_STORE)

    @api.get(f"/{METADATA_PATH}")
    async def metadata() -> dict[str, Any]:
        return authorization_server(endpoint.issuer, base, list(ACTIONS))

    @api.get(f"/{DISCOVERY_PATH}")
    async def configuration() -> dict[str, Any]:
        return {**discovery(endpoint.issuer), "jwks_uri": f"{base}/{KEYS_PATH}"}

    @api.get(f"/{KEYS_PATH}")
    async def keys() -> dict[str, Any]:
        published: dict[str, Any] = source.published()["jwks"]
        return published

    return api


async def serve(api: FastAPI, stack: contextlib.AsyncExitStack, *socks: socket.socket) -> None:
    """Serve it on `socks` until `stack` ends."""
    for sock in socks:
        stack.callback(sock.close)
    stack.push_async_callback(await uvicorn_server.run(api, EndsProtocol, *socks))


def bind(address: str, port: int) -> socket.socket:
    """The listening socket; raises StateError that names it when it can't be had."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen()
    except OSError as error:
        sock.close()
        raise StateError(
            f"the token endpoint can't listen on `{address}:{port}`: {error.strerror}",
            hint="set `oidc.port` to a free one and start again; all else goes on without it",
        ) from error
    return sock


def _no_page(request: Request, host: str) -> None:
    """A browser's page is not its person: it sends `Origin`, and a name of its own as the host (DNS rebinding)."""
    ours = {host, host.replace("127.0.0.1", "localhost")}
    if "origin" in request.headers or request.headers.get("host") not in ours:
        raise DelegationError("invalid_client", "pages of a browser are not served here")


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise bad("the body is not a form", f"send {FORM}")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise bad(f"the form is longer than {MAX_FORM_BYTES} bytes")
    return body


async def _answer_nothing_here(request: Request, error: Exception) -> JSONResponse:
    """What is not served here: told as everything else is, with where to read what is."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    said = f"{request.method} is not served at that path (what is: /{METADATA_PATH})"
    return JSONResponse({"error": "invalid_request", "error_description": said}, status_code=status, headers=NO_STORE)


async def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    """RFC 6749 5.2: `error`, and the line for people; never a token."""
    code = error.code if isinstance(error, DelegationError) else "server_error"
    code = "invalid_client" if isinstance(error, AttestationError) else code
    hint = getattr(error, "hint", "")
    said = f"{error}" + (f" ({hint})" if hint else "")
    status = STATUS.get(code, 400)
    return JSONResponse({"error": code, "error_description": said}, status_code=status, headers=NO_STORE)
