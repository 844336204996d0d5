"""The token endpoint, where Remit issues tokens itself."""

import contextlib
from collections.abc import Mapping

from remit.config import Settings
from remit.control import oauth
from remit.control.clients import Clients
from remit.control.identity_source import IdentitySource
from remit.control.realm import Realm
from remit.control.token_endpoint import TokenEndpoint
from remit.control.workers import Workers
from remit.identity import Process
from remit.identity.attestation import EXECUTABLES, observe


def token_address(settings: Settings) -> str:
    """Where the token endpoint is."""
    address = settings.gateway.address
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{_port(settings)}"


async def serve_tokens(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    source: IdentitySource,
    realm: Realm,
    workers: Workers,
    doors: Mapping[str, Mapping[str, str]],
) -> str:
    """Serve it until `stack` ends: its address, or nothing with an outside SPIRE. StateError: its port is taken."""
    if not realm.trust.issuer:
        return ""
    sock = oauth.bind(settings.gateway.address, _port(settings))
    clients = Clients(realm, _observed)
    stack.callback(clients.close)

    async def deliver() -> bool:
        return await workers.deliver(realm.snapshot())

    endpoint = TokenEndpoint(realm, source.authority, realm.trust.issuer, doors, deliver)
    address = token_address(settings)
    await oauth.serve(oauth.build(endpoint, source, clients, address), stack, sock)
    return address


def _port(settings: Settings) -> int:
    return settings.oidc.port or settings.gateway.port - 1


def _observed(pid: int) -> Process:
    return observe(pid, digests=EXECUTABLES)
