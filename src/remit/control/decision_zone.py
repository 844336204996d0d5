"""The zone where other enforcement points ask for decisions: its doors, its worker, and whose word is taken there."""

import contextlib
from pathlib import Path
from typing import Final

from remit.config import DecisionsSettings, Places
from remit.config.addresses import host_port
from remit.control.doors import DECISIONS, Door, bound, close_doors
from remit.control.identity_source import IdentitySource
from remit.control.workers import Workers
from remit.errors import ConfigError, RemitError
from remit.identity import SpiffeId
from remit.identity.unix_socket import ListeningSocket
from remit.policy.link import DoorKind, Skin

SCHEME: Final = "spiffe://"


async def open_decisions(
    stack: contextlib.AsyncExitStack,
    places: Places,
    decisions: DecisionsSettings,
    workers: Workers,
    source: IdentitySource,
    domain: str,
) -> dict[str, str]:
    """Start the zone where one of its doors is configured; the ways to ask it, as `status` shows them."""
    if not decisions.wanted:
        return {}
    doors = _doors(decisions, domain, places.socket_mode)
    stack.callback(close_doors, doors)
    workers.tell(source.gateway_svid(DECISIONS), DECISIONS)
    await workers.start(DECISIONS)
    for door in doors:
        workers.listen(door)
    return {f"{door.skin.value}_{door.kind.value}": door.url for door in doors}


def points(decisions: DecisionsSettings, domain: str) -> tuple[SpiffeId, ...]:
    """Whose word about others is taken: SPIFFE IDs, or paths in this trust domain; raises ConfigError."""
    try:
        return tuple(
            SpiffeId.parse(one) if one.startswith(SCHEME) else SpiffeId.of(domain, *one.strip("/").split("/"))
            for one in decisions.points
        )
    except RemitError as error:
        raise ConfigError(f"`decisions.points`: {error}", hint="such as `agent/envoy`") from error


def _doors(decisions: DecisionsSettings, domain: str, mode: int) -> list[Door]:
    """All of them, or none; raises StateError for one that can't be had."""
    itself = SpiffeId.of(domain, "remit", "gateway", DECISIONS)
    opened: list[Door] = []
    with contextlib.ExitStack() as undo:
        undo.callback(close_doors, opened)
        for said, kind, scheme in ((decisions.listen, DoorKind.TCP, "http"), (decisions.tls, DoorKind.TLS, "https")):
            if said:
                sock = bound(*host_port(said))
                url = f"{scheme}://{said.rpartition(':')[0]}:{sock.getsockname()[1]}"
                opened.append(Door(itself, kind, url, sock, zone=DECISIONS, skin=Skin.AUTHZEN))
        for path, skin in ((decisions.socket, Skin.AUTHZEN), (decisions.envoy, Skin.EXT_AUTHZ)):
            if path:
                file = ListeningSocket.bind(Path(path), mode)
                opened.append(Door(itself, DoorKind.UNIX, path, file.socket, file, zone=DECISIONS, skin=skin))
        undo.pop_all()
    return opened
