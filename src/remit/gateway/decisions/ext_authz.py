"""Envoy's external authorization: one request that Envoy holds, decided as the gateway would, and answered.

Only whether it goes on is decided here. What comes back is not seen: nothing in it is masked, and a call that went on
is not cut when its task ends (docs/envoy.md).
"""

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from remit.errors import IdentityError, ProtocolError, RemitError
from remit.gateway.call import Call
from remit.gateway.circumstances import circumstances_of
from remit.gateway.consider import Ask, consider, owner_s_cache_only, read
from remit.gateway.decisions.decide import decide, refuse
from remit.gateway.decisions.ext_authz_proto import METHOD, SERVICE, message_type
from remit.gateway.decisions.ext_authz_reply import allowed, refused
from remit.gateway.decisions.ext_authz_request import Checked, read_check
from remit.gateway.decisions.points import UnixPoints
from remit.gateway.decisions.verbatim import check_countable, verbatim
from remit.gateway.decisions.vouched import VouchedFor
from remit.gateway.dialects import DIALECTS, Dialect, Refusal
from remit.gateway.marking import raise_for_answer, with_what_came_in
from remit.gateway.model_in_force import check_model
from remit.gateway.refusals import dialect_of, refusal_of
from remit.gateway.said import said
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.identity import Caller, PeerCredentials, SpiffeId
from remit.identity.grpc_server import Method, Request, UnixServer
from remit.policy import Intent, RefusedError
from remit.policy.link import Refused

BODY_BYTES: Final = 4 << 20  # a request's, with what Envoy says beside it; a 128k-token prompt is under 1 MiB
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
            may_send_long=self._is_point,
            gone=self._points.gone,
        )

    async def serve(self, sock: socket.socket) -> None:
        """Answer at a unix socket that is bound."""
        await self._server.listen(sock)

    async def close(self) -> None:
        await self._server.stop()

    async def _is_point(self, peer: PeerCredentials) -> bool:
        try:
            await self._points.who(peer)
        except RemitError:
            return False
        return True

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
            await self._decided(checked, point, call)
        except RemitError as error:
            self._tell(call, error, asked.peer.uid)
            dialect = dialect_of(checked.request.path, zone.workload(checked.guarded))
            return self._reply(call, refusal_of(call, error), dialect)
        return allowed(checked.unsent, call.headers(zone.snapshot))

    async def _decided(self, checked: Checked, point: Caller, call: Call) -> None:
        """Returns once the request may go on and that is on record; raises RemitError if not.

        As `exchange` does, but that nothing is written anew: what would have to be is refused.
        """
        zone = self._zone
        try:
            intent, ask = await self._asked(checked, call)
        except (RefusedError, ProtocolError) as error:
            await refuse(error, zone, call, point)
            raise
        await decide(intent, zone, call, by=point, anew=lambda: self._anew(intent), value=ask.forward)
        await raise_for_answer(intent, ask, zone)

    async def _asked(self, checked: Checked, call: Call) -> tuple[Intent, Ask]:
        """What is to be decided.

        1. who calls, on the word of the point that asks, or by a token
        2. what is asked, as the gateway reads it, and so that it can be sent on as it came
        3. the intent, with what came in with it; the model is the one its server is bound to
        4. nothing else that the gateway would see to by itself: callers in one prompt cache, an answer's tokens
        """
        zone = self._zone
        # 1
        caller = call.by(self._vouched.caller(checked, call.now))
        # 2
        ask = verbatim(read(checked.request, caller, checked, zone))
        # 3
        intent = call.asks(await consider(caller, ask, None, zone, call.now))
        intent = call.asks(await with_what_came_in(intent, ask, zone))
        check_model(intent, ask.workload, call.id)
        # 4
        owner_s_cache_only(ask, caller)
        check_countable(caller, zone.engine)
        return intent, ask

    def _anew(self, intent: Intent) -> Intent:
        """The same, as all is by now."""
        zone = self._zone
        return replace(intent, circumstances=circumstances_of(intent.caller, zone.engine, zone.clock()))

    def _turned_away(self, asked: Request, error: RemitError) -> Any:
        """What never became a call: counted, as are peers of the gateway that can't be identified."""
        zone = self._zone
        self._unidentified.count(asked.peer.uid, said(str(error), zone.scrubber))
        call = Call.begin(self._own, zone.clock(), zone.monotonic(), _nothing)
        return self._reply(call, refusal_of(call, error), DIALECTS["openai"])

    def _tell(self, call: Call, error: RemitError, uid: int) -> None:
        """Who can't be identified is counted; what policies refuse is shown on the owner's terminal."""
        zone = self._zone
        if isinstance(error, IdentityError) and call.caller is None:
            self._unidentified.count(uid, said(str(error), zone.scrubber))
        elif isinstance(error, RefusedError) and call.intent is not None:
            zone.told(Refused(call.id, str(error), error.rule, call.intent.action, call.resource))

    def _reply(self, call: Call, refusal: Refusal, dialect: Dialect) -> Any:
        status, body = dialect.refusal(refusal)
        return refused(status, body, (JSON, *call.headers(self._zone.snapshot)))


def _nothing(_: str) -> None:
    """What another enforcement point does with its answer can't be cut."""
