"""The token endpoint, where Remit issues tokens itself; and beside it the page of passkeys."""

import contextlib
import errno
import socket
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI

from remit.config import Settings
from remit.control import oauth
from remit.control.clients import Clients
from remit.control.identity_source import IdentitySource
from remit.control.passkey_desk import PasskeyDesk
from remit.control.proof_page import about_proofs
from remit.control.realm import Realm
from remit.control.token_endpoint import TokenEndpoint
from remit.control.workers import Workers
from remit.errors import StateError
from remit.identity import Process
from remit.identity.attestation import EXECUTABLES, observe

_OTHER: Final = {"127.0.0.1": "::1", "::1": "127.0.0.1"}
_NOBODY_S: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def token_address(settings: Settings) -> str:
    """Where the token endpoint is."""
    address = settings.gateway.address
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{token_port(settings)}"


async def serve_tokens(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    source: IdentitySource,
    realm: Realm,
    workers: Workers,
    doors: Mapping[str, Mapping[str, str]],
    passkeys: PasskeyDesk,
) -> str:
    """Serve both until `stack` ends: the endpoint's address, or nothing with an outside SPIRE.

    StateError: its port is taken. The page does without what it can't have, and says so itself.
    """
    sock = oauth.bind(settings.gateway.address, token_port(settings))
    clients = Clients(realm, _observed)
    stack.callback(clients.close)

    async def deliver() -> bool:
        return await workers.deliver(realm.snapshot())

    address = token_address(settings) if realm.trust.issuer else ""
    if address:
        endpoint = TokenEndpoint(realm, source.authority, realm.trust.issuer, doors, deliver)
        api = oauth.build(endpoint, source, clients, address)
    else:
        api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    await oauth.serve(api, stack, sock, *_page(api, passkeys, clients, settings))
    return address


def _page(api: FastAPI, passkeys: PasskeyDesk, clients: Clients, settings: Settings) -> list[socket.socket]:
    """The page on `api`, and what it is also reached by. Not where a part of `localhost` is somebody else's.

    Browsers take either of its addresses: whoever has the other one would have the page's own origin.
    """
    try:
        other = _other_localhost(settings)
    except StateError as error:
        passkeys.not_served = str(error)
        return []
    about_proofs(api, passkeys, clients)
    passkeys.not_served = ""
    return other


def _other_localhost(settings: Settings) -> list[socket.socket]:
    address = _OTHER[settings.gateway.address]
    try:
        return [oauth.bind(address, token_port(settings))]
    except StateError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOBODY_S:
            return []
        raise
    except OSError:  # no such family on this machine
        return []


def token_port(settings: Settings) -> int:
    """The port of the token endpoint, and of the page of passkeys."""
    return settings.oidc.port or settings.gateway.port - 1


def _observed(pid: int) -> Process:
    return observe(pid, digests=EXECUTABLES)
