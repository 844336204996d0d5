"""The door where enforcement points ask in AuthZEN's words: from an HTTP request to the reply, every end recorded."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from remit.errors import IdentityError, ProtocolError, RemitError
from remit.gateway.answering import JSON, Door
from remit.gateway.connection import Connection
from remit.gateway.decisions.authzen import metadata
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.decisions.evaluating import evaluate, evaluate_all
from remit.gateway.decisions.heard import heard
from remit.gateway.decisions.searching import search_actions, search_resources, search_subjects
from remit.gateway.identify import every_holder, identify
from remit.gateway.message import Head, Headers, Request
from remit.gateway.reply_writer import ReplyWriter
from remit.gateway.said import said
from remit.gateway.strict_json import parse
from remit.gateway.unidentified import Unidentified
from remit.gateway.visitors import check_visitor
from remit.identity import Caller, SpiffeId

_EVERY: Final = re.compile(r"//(?:0\.0\.0\.0|\[::\]):")
REQUEST_ID: Final = "x-request-id"
METADATA: Final = "/.well-known/authzen-configuration"

Answering = Callable[[Mapping[str, Any], Caller, Decisions], Awaitable[dict[str, Any]]]
_ANSWERS: Final[dict[str, Answering]] = {
    "/access/v1/evaluation": evaluate,
    "/access/v1/evaluations": evaluate_all,
    "/access/v1/search/subject": search_subjects,
    "/access/v1/search/resource": search_resources,
    "/access/v1/search/action": search_actions,
    "/remit/v1/heard": heard,
}


class NoSuchEndpointError(ProtocolError):
    """Nothing is asked there. `rule` is `unknown-route`."""

    rule = "unknown-route"


class AuthzenDoor(Door):
    """One door of the zone. `url` is its address, empty where it has none."""

    def __init__(
        self,
        decisions: Decisions,
        itself: SpiffeId,
        url: str,
        unidentified: Unidentified,
        hosts: frozenset[str] | None,
    ) -> None:
        super().__init__(decisions.zone, itself, unidentified, hosts)
        self._decisions, self._url = decisions, url

    async def exchange(self, request: Request, connection: Connection, reply: ReplyWriter) -> None:
        """One request's reply. A denial is an answer, and no error: only what can't be asked or answered is one."""
        known = request.header(REQUEST_ID)
        headers: Headers = (JSON,) if known is None else (JSON, (REQUEST_ID, known))
        try:
            status, answer = 200, await self._answer(request, connection)
        except RemitError as error:
            status, answer = _status(error), self._failed(error, connection)
        reply.head(Head(status, headers, body=orjson.dumps(answer)))

    async def _answer(self, request: Request, connection: Connection) -> Any:
        check_visitor(request, connection.state.hosts)
        if request.path == METADATA and request.method == "GET":
            return metadata(self._base(request, connection))
        answers = _ANSWERS.get(request.path)
        if answers is None:
            raise NoSuchEndpointError(f"nothing is asked at `{request.path[:64]}`", status=404)
        if request.method != "POST":
            raise ProtocolError(f"`{request.path}` takes `POST`", status=405)
        caller = await identify(connection.state, request, self._zone)
        if caller.spiffe_id in self._decisions.points:
            caller = await every_holder(connection.state, caller, self._zone)
        return await answers(_body(request), caller, self._decisions)

    def _base(self, request: Request, connection: Connection) -> str:
        """The address that a client can use: as it named it itself, where the door is at every address or at none."""
        if self._url and not _EVERY.search(self._url):
            return self._url
        scheme = "https" if connection.kind == "tls" else "http"
        return f"{scheme}://{request.header('host') or 'localhost'}"

    def _failed(self, error: RemitError, connection: Connection) -> dict[str, str]:
        """Counted, not recorded one by one: nothing was decided."""
        self._unidentified.count(connection.state.seen_uid, said(str(error), self._zone.scrubber))
        return {"error": str(error), **({"hint": error.hint} if error.hint else {})}


def _body(request: Request) -> Mapping[str, Any]:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProtocolError("the body is not `application/json`", hint="say so in `content-type`")
    value = parse(request.body)
    if not isinstance(value, dict):
        raise ProtocolError("the body is not a JSON object")
    return value


def _status(error: RemitError) -> int:
    if isinstance(error, ProtocolError):
        return error.status
    return 401 if isinstance(error, IdentityError) else 503
