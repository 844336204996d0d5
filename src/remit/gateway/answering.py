"""The door of one guarded server: runs exchanges, turns refusals and failures into replies, records every end."""

import asyncio
from typing import Final

from remit.errors import AuditError, IdentityError, ProtocolError, RemitError, UpstreamError
from remit.gateway.call import Call
from remit.gateway.connection import Connection
from remit.gateway.dialects import DIALECTS, Dialect, Refusal
from remit.gateway.exchange import exchange
from remit.gateway.identify import Peer, meet
from remit.gateway.message import Head, Request
from remit.gateway.refusals import dialect_of, record_of, refusal_of
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.said import said
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.identity import SpiffeId
from remit.policy import RefusedError
from remit.policy.link import Refused

JSON: Final = ("content-type", "application/json")


class Door:
    """One guarded server's listening socket. `hosts` are the Host headers that mean it; None: any (unix sockets)."""

    def __init__(
        self, zone: Zone, workload: SpiffeId, unidentified: Unidentified, hosts: frozenset[str] | None
    ) -> None:
        self._zone, self._workload, self._unidentified, self._hosts = zone, workload, unidentified, hosts

    async def connected(self, connection: Connection) -> None:
        try:
            connection.state = meet(connection, self._workload, self._hosts, self._zone)
        except IdentityError as error:
            self._unidentified.count(None, said(str(error), self._zone.scrubber))
            connection.abort("no identity")

    def closed(self, connection: Connection) -> None:
        if connection.state is not None:
            connection.state.close()

    async def exchange(self, request: Request, connection: Connection, reply: ReplyWriter) -> None:
        """One request's reply: governed, or refused in the dialect's own shape; every end is recorded."""
        zone, peer = self._zone, connection.state
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (an exchange is one)

        def stop(why: str) -> None:
            """What has begun can only be broken off; what has not is refused below."""
            connection.abort(why) if reply.begun else task.cancel()

        call = Call.begin(self._workload, zone.clock(), zone.monotonic(), stop)
        call.bytes_in, call.route = len(request.body), f"{request.method} {request.path}"
        zone.live.add(call)
        try:
            await exchange(request, peer, zone, call, reply)
            call.outcome = call.outcome or "done"
        except asyncio.CancelledError:
            call.outcome = call.outcome or "hung_up"
            if call.cut_by is None or reply.begun or task.uncancel():
                raise
            reply.head(self._reply(request, call, await self._refuse(request, peer, call, call.cut_by)))
        except RemitError as error:
            cut = reply.begun and isinstance(error, RefusedError)  # for what came while it went on
            call.outcome = call.outcome or ("cut" if cut else _outcome(error))
            answer = await self._refuse(request, peer, call, error)
            if reply.begun:
                await reply.piece(self._dialect(request).stream_error(answer))
                connection.abort(str(error))
            else:
                reply.head(self._reply(request, call, answer))
        finally:
            zone.live.discard(call)
            if call.outlay is not None:
                call.outlay.end()
            zone.not_enforced.count(call.intent, call.permit)
            if call.recorded:
                self._note_end(call)

    def refused(self, connection: Connection | None, error: RemitError) -> Head:
        """The reply to what never became a call. The log counts these, as those of peers that can't be identified."""
        zone = self._zone
        call = Call.begin(self._workload, zone.clock(), zone.monotonic(), _nothing)
        peer = None if connection is None else connection.state
        self._unidentified.count(None if peer is None else peer.seen_uid, said(str(error), zone.scrubber))
        status, body = DIALECTS["openai"].refusal(refusal_of(call, error))
        return Head(status, (JSON, *call.headers(zone.snapshot)), body=body)

    async def _refuse(self, request: Request, peer: Peer, call: Call, error: RemitError) -> Refusal:
        """Record a refusal before it is told; what can't be identified is counted, not recorded one by one."""
        refusal = refusal_of(call, error)
        call.status = refusal.status
        if isinstance(error, IdentityError) and call.caller is None:
            self._unidentified.count(peer.uid, said(str(error), self._zone.scrubber))
        elif not call.recorded and not isinstance(error, AuditError):
            try:
                await self._zone.audit.record(record_of(call, self._zone, error), b"")
            except AuditError as failed:
                return refusal_of(call, failed)
            self._tell(call, error)
        return refusal

    def _tell(self, call: Call, error: RemitError) -> None:
        """Tell control, so that the owner sees it in their own terminal, with the way to allow it."""
        if call.intent is not None and isinstance(error, RefusedError):
            self._zone.told(Refused(call.id, str(error), error.rule, call.intent.action, call.resource))

    def _reply(self, request: Request, call: Call, refusal: Refusal) -> Head:
        status, body = self._dialect(request).refusal(refusal)
        call.bytes_out = len(body)
        return Head(status, (JSON, *call.headers(self._zone.snapshot)), body=body)

    def _dialect(self, request: Request) -> Dialect:
        return dialect_of(request.path, self._zone.workload(self._workload))

    def _note_end(self, call: Call) -> None:
        try:
            self._zone.audit.note(call.end("broken"))  # unless one of the ways it can end said otherwise
        except AuditError:
            return  # the shard is closed: the start record stays without an end, which `verify` reports


def _nothing(_: str) -> None:
    """There is no connection left to cut."""


def _outcome(error: RemitError) -> str:
    if isinstance(error, UpstreamError):
        return "timed_out" if error.status == 504 else "broken"
    return "refused" if isinstance(error, (RefusedError, ProtocolError, IdentityError)) else "broken"
