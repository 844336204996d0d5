"""Envoy's external authorization: one request that Envoy holds, decided as the gateway would, and answered.

Only whether it goes on is decided here. What comes back is not seen: nothing in it is masked, and a call that went on
is not cut when its task ends (docs/envoy.md).
"""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from remit.audit import Start
from remit.errors import AuditError, IdentityError, RemitError
from remit.gateway.call import Call
from remit.gateway.consider import Ask, consider, owner_s_cache_only, read
from remit.gateway.decisions.ext_authz_proto import METHOD, SERVICE, message_type
from remit.gateway.decisions.ext_authz_reply import allowed, refused
from remit.gateway.decisions.ext_authz_request import Checked, read_check
from remit.gateway.decisions.points import UnixPoints
from remit.gateway.decisions.verbatim import check_unmasked, verbatim
from remit.gateway.decisions.vouched import VouchedFor
from remit.gateway.dialects import DIALECTS, Dialect, Refusal
from remit.gateway.model_in_force import check_model
from remit.gateway.people import agreed
from remit.gateway.record import started
from remit.gateway.refusals import dialect_of, record_of, refusal_of
from remit.gateway.said import said
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.identity import Caller, SpiffeId
from remit.identity.grpc_server import Method, Request, UnixServer
from remit.policy import ApprovalNeededError, Intent, Permit, RefusedError
from remit.policy.link import Refused

BODY_BYTES: Final = 4 << 20  # a request's, with what Envoy says beside it; a 128k-token prompt is under 1 MiB
HELD_BYTES: Final = 64 << 20
CALLS: Final = (1024, 1024)  # one Envoy asks for all of its callers
CONNECTIONS: Final = (64, 128)  # Envoy has one a thread
NO_WAIT: Final = 0.0
JSON: Final = ("content-type", "application/json")


class ExtAuthz:
    """The service at one unix socket, that of `own`. `registered` says which callers are enforcement points."""

    def __init__(
        self, zone: Zone, own: SpiffeId, unidentified: Unidentified, registered: Callable[[Caller], bool]
    ) -> None:
        self._zone, self._own, self._unidentified = zone, own, unidentified
        self._points, self._vouched = UnixPoints(zone, registered), VouchedFor(zone)
        method = Method(METHOD, "CheckRequest", "CheckResponse", False, self._check, message_type)
        self._server = UnixServer(
            SERVICE,
            (method,),
            None,
            calls=CALLS,
            connections=CONNECTIONS,
            request_bytes=BODY_BYTES,
            held_bytes=HELD_BYTES,
            gone=self._points.gone,
        )

    async def serve(self, sock: socket.socket) -> None:
        """Answer at a unix socket that is bound."""
        await self._server.listen(sock)

    async def close(self) -> None:
        await self._server.stop()

    async def _check(self, asked: Request) -> None:
        await asked.send(await self._answer(asked))

    async def _answer(self, asked: Request) -> Any:
        """The answer. A refusal is one too: a point that opens when it gets an error stays shut."""
        zone = self._zone
        try:
            point = await self._points.who(asked.peer)
            checked = read_check(asked.message)
        except RemitError as error:
            return self._turned_away(asked, error)
        call = Call.begin(checked.guarded, zone.clock(), zone.monotonic(), _nothing)
        call.bytes_in, call.route = len(checked.request.body), f"{checked.request.method} {checked.request.path}"
        try:
            await self._decide(checked, point, call)
        except RemitError as error:
            dialect = dialect_of(checked.request.path, zone.workload(checked.guarded))
            return self._reply(call, await self._refuse(call, error, asked), dialect)
        finally:
            if call.recorded:
                self._note_end(call)
        return allowed(checked.unsent, call.headers(zone.snapshot))

    async def _decide(self, checked: Checked, point: Caller, call: Call) -> None:
        """Returns if the request may go on; raises RemitError if not.

        As `exchange` does, but that nothing is written anew:

        1. who calls, on the word of the point that asks, or by a token
        2. what is asked; what could only be sent on if it were changed is refused
        3. the intent; the model is the one its server is bound to; may it, and nothing in it is to be masked
        4. written down, durably, before the point may go on; and still so once it is written
        """
        zone = self._zone
        # 1
        caller = call.by(self._vouched.caller(checked, call.now))
        # 2
        ask = verbatim(read(checked.request, caller, checked, zone))
        # 3
        intent = call.asks(await consider(caller, ask, None, zone, call.now))
        check_model(intent, ask.workload, call.id)
        permit = call.may(await self._permit(intent, ask, call))
        check_unmasked(intent, permit)
        owner_s_cache_only(ask, caller)
        # 4
        call.recorded = True
        receipt = await zone.audit.record(_at(point, started(call, intent, permit, zone)), permit.intent_digest)
        zone.check_current(permit, call)
        receipt.spend(permit.intent_digest)

    async def _permit(self, intent: Intent, ask: Ask, call: Call) -> Permit:
        """May it; where it takes somebody's agreement they are asked, and who asks the same again hears more.

        Nothing waits for people here: Envoy gives up after seconds. Raises RefusedError.
        """
        try:
            return self._zone.engine.decide(intent, call.now, call.id)
        except ApprovalNeededError as needed:
            call.approval = await agreed(intent, ask.forward, needed, self._zone, NO_WAIT)
        return self._zone.engine.decide(intent, call.now, call.id, call.approval)

    def _turned_away(self, asked: Request, error: RemitError) -> Any:
        """What never became a call: counted, as are peers of the gateway that can't be identified."""
        zone = self._zone
        self._unidentified.count(asked.peer.uid, said(str(error), zone.scrubber))
        call = Call.begin(self._own, zone.clock(), zone.monotonic(), _nothing)
        return self._reply(call, refusal_of(call, error), DIALECTS["openai"])

    async def _refuse(self, call: Call, error: RemitError, asked: Request) -> Refusal:
        """Record a refusal before it is told; who can't be identified is counted, not recorded one by one."""
        zone, refusal = self._zone, refusal_of(call, error)
        call.status = refusal.status
        call.outcome = call.outcome or "refused"
        if isinstance(error, IdentityError) and call.caller is None:
            self._unidentified.count(asked.peer.uid, said(str(error), zone.scrubber))
        elif not call.recorded and not isinstance(error, AuditError):
            try:
                await zone.audit.record(record_of(call, zone, error), b"")
            except AuditError as failed:
                return refusal_of(call, failed)
            if call.intent is not None and isinstance(error, RefusedError):
                zone.told(Refused(call.id, str(error), error.rule, call.intent.action, call.resource))
        return refusal

    def _reply(self, call: Call, refusal: Refusal, dialect: Dialect) -> Any:
        status, body = dialect.refusal(refusal)
        return refused(status, body, (JSON, *call.headers(self._zone.snapshot)))

    def _note_end(self, call: Call) -> None:
        with contextlib.suppress(AuditError):  # the shard is closed: `verify` reports the start without an end
            self._zone.audit.note(call.end("decided"))


def _at(point: Caller, start: Start) -> Start:
    """The record, with who asked: a person's process by the person's pseudonym."""
    return replace(start, facts={**start.facts, "point": str(point.spiffe_id) if point.enrolled else point.person})


def _nothing(_: str) -> None:
    """What another enforcement point does with its answer can't be cut."""
