"""What one request asks for: its route and dialect, its body read strictly, and what the detector sees in it."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Protocol

from remit.credentials import Lease
from remit.errors import ProtocolError, SpentError
from remit.gateway.circumstances import circumstances_of
from remit.gateway.cut_short import not_guarded
from remit.gateway.dialects import DIALECTS, Asked, Dialect, forwarded
from remit.gateway.identify import Peer, every_holder
from remit.gateway.message import Headers, Request
from remit.gateway.model_in_force import digest_of, is_approved, model_named
from remit.gateway.prompt_cache import plan
from remit.gateway.routes import Route, match, profile, query
from remit.gateway.strict_json import parse
from remit.gateway.visitors import check_visitor
from remit.gateway.zone import Zone
from remit.identity import Caller, SpiffeId
from remit.inventory import Workload
from remit.policy import Action, Intent
from remit.redaction import Clean, Scan

# A person's least remit: what a caller known by uid and one holder may ask for before the exhaustive walk.
LEAST: Final = frozenset({Action.INFER, Action.EMBED, Action.LIST, Action.HEALTH})
CONTENT: Final[dict[str, Headers]] = {
    "json": (("content-type", "application/json"),),
    "bytes": (("content-type", "application/octet-stream"),),
    "none": (),
}
NO_BODY: Final = hashlib.sha256(b"").digest()


class WithoutControlError(ProtocolError):
    """Nothing with side effects happens while nobody could revoke it. `rule` is `control-gone`."""

    rule = "control-gone"


class SharedCacheError(ProtocolError):
    """Not the owner, on a server whose prompt cache they would share. `rule` is `shared-prompt-cache`."""

    rule = "shared-prompt-cache"


class Place(Protocol):
    """Where a request came in: for which workload, and by which Host headers (None: any)."""

    @property
    def door(self) -> SpiffeId: ...

    @property
    def hosts(self) -> frozenset[str] | None: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, read: nothing in it can be read in a second way further on.

    `forward` is the body as it would be sent, before masking: bytes, a JSON object, or None for no body. `isolated`
    is false where the server's prompt cache can't be kept apart for each caller.
    """

    request: Request
    workload: Workload
    route: Route
    dialect: Dialect
    asked: Asked
    forward: Any
    isolated: bool
    scan: Scan
    target: str
    headers: Headers

    def outgoing(self, cleaned: Clean, lease: Lease) -> tuple[str, str, str, Headers, bytes]:
        """Address, method, target, headers and body of the request that goes upstream; raises SpentError.

        The lease must be one for this very request.
        """
        if lease.of != cleaned.of:
            raise SpentError(f"the lease of `{lease.credential}` is for another request")
        headers = (*self.headers, *CONTENT[self.route.body], *lease.headers())
        return self.workload.upstream, self.route.method, self.target, headers, cleaned.body


def read(request: Request, caller: Caller, at: Place, zone: Zone) -> Ask:
    """Read a request; raises ProtocolError (VisitorError, RouteError, FieldError) for what can't be taken."""
    check_visitor(request, at.hosts)
    workload = zone.workload(at.door)
    if workload is None:
        raise not_guarded()
    headers = forwarded(request.headers)
    route = match(profile(workload.server), request.method, request.path)
    parameters, query_text = query(route, request.query)
    body = _body(route, request)
    dialect = DIALECTS[route.dialect]
    asked = dialect.asked(route, body, parameters)
    cache = plan(route, str(caller.spiffe_id), caller.task, zone.cache_key)
    return Ask(
        request=request,
        workload=workload,
        route=route,
        dialect=dialect,
        asked=asked,
        forward=request.body if route.body == "bytes" else dialect.forward(route, body, cache),
        isolated=cache.isolated,
        scan=zone.scrubber.request(body),
        target=route.path + ("?" + query_text if query_text else ""),
        headers=headers,
    )


async def consider(caller: Caller, ask: Ask, peer: Peer | None, zone: Zone, now: float) -> Intent:
    """The intent: who asks what of which server, with what was found in it.

    For more than the least remit, and under break-glass, every holder of the connection is looked at first; raises
    AttestationError. Without a `peer` the caller is at another's door, and not known by the kernel.
    """
    if peer is not None and (ask.route.action not in LEAST or _in_emergency(caller, zone)):
        caller = await every_holder(peer, caller, zone)
    if zone.control_gone and ask.route.action is Action.ADMINISTER:
        raise WithoutControlError(
            f"`{ask.route}` changes the server, and the control process is gone",
            status=503,
            hint="ask whoever runs remit on this machine",
        )
    model = model_named(ask.workload, ask.asked.model)
    return Intent(
        caller=caller,
        action=ask.route.action,
        resource=ask.workload.spiffe_id,
        route=str(ask.route),
        dialect=ask.route.dialect,
        model=ask.asked.model,
        model_digest=digest_of(model),
        model_approved=is_approved(ask.workload, model),
        target=ask.target,
        stream=ask.asked.stream,
        found=ask.scan.found,
        body_sha256=hashlib.sha256(ask.request.body).digest() if ask.request.body else NO_BODY,
        circumstances=circumstances_of(caller, zone.engine, now),
    )


def _in_emergency(caller: Caller, zone: Zone) -> bool:
    emergency = zone.snapshot.emergency
    return emergency is not None and emergency.human == caller.human


def owner_s_cache_only(ask: Ask, caller: Caller) -> None:
    """Where a server can't be told to keep callers out of each other's prompt cache, only its owner may use it.

    Raises SharedCacheError. Remit's own demonstration server runs without one.
    """
    if not ask.isolated and not ask.workload.demonstration and caller.human != ask.workload.owner:
        raise SharedCacheError(
            f"{ask.workload.name} can't keep callers out of each other's prompt cache: `{ask.route}` is its owner's",
            status=403,
            hint="ask its owner for a server that can: docs/servers.md says which",
        )


def _body(route: Route, request: Request) -> dict[str, Any] | None:
    if route.body == "bytes":
        return None
    if not request.body:
        return None if route.body == "none" else {}
    if route.body == "none":
        raise ProtocolError(f"`{route}` takes no body")
    value = parse(request.body)
    if not isinstance(value, dict):
        raise ProtocolError("the body is not a JSON object")
    return value
