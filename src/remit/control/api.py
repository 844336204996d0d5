"""The control API: FastAPI on a unix socket; every route needs a peer that the kernel names and that may govern."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from remit.control import uvicorn_server
from remit.control.api_approvals import about_approvals
from remit.control.api_break_glass import about_break_glass
from remit.control.api_proofs import about_proofs_of_persons
from remit.control.api_tasks import about_tasks
from remit.control.api_workloads import MAX_NAME, about_workloads
from remit.control.desk import Desk
from remit.control.explaining import MAX_ID
from remit.control.roles import check_route
from remit.control.supposing import given_of
from remit.control.visitor import Visitor
from remit.errors import AttestationError, NotFoundError, RemitError, UsageError
from remit.identity import PeerCredentials
from remit.identity.jws import MAX_ID_TOKEN_BYTES
from remit.identity.unix_socket import ListeningSocket
from remit.persons import ProofNeededError
from remit.policy.supposed import Supposed

STATUS: Final = {2: 400, 3: 403}
PROOF_HEADER: Final = "remit-proof"  # the id of a proof that the request carries
MAX_PROOF_ID: Final = 128
MAX_OF_ONE_UID: Final = 256  # connections, of two descriptors each; a command has one


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the peer's kernel credentials in each request's state.

    The peer is held by a handle while it is connected, so that no later process of its number speaks for it.
    """

    _peer: PeerCredentials | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        try:
            self._peer = PeerCredentials.of(transport.get_extra_info("socket"))
        except (AttestationError, OSError):  # gone already, or not to be held: nobody is served unknown
            transport.abort()
            return
        if self._of(self._peer.uid) > MAX_OF_ONE_UID:  # everybody may connect; nobody may have all descriptors
            transport.abort()
        self.app_state = {**self.app_state, "peer": self._peer}

    def _of(self, uid: int) -> int:
        """How many of the connections are that uid's."""
        peers = [one._peer for one in self.connections if isinstance(one, PeerProtocol)]
        return sum(1 for peer in peers if peer is not None and peer.uid == uid)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._peer is not None:
            self._peer.close()


class SessionBegin(BaseModel):
    """A person's session. `seconds` is its whole life; an ID token comes with the nonce that was asked for."""

    model_config = ConfigDict(extra="forbid")
    seconds: float
    id_token: str = Field(default="", max_length=MAX_ID_TOKEN_BYTES)
    nonce: str = Field(default="", max_length=128)


class SessionEnd(BaseModel):
    """Which session is ended; empty: all of the person's."""

    model_config = ConfigDict(extra="forbid")
    session: str = Field(default="", max_length=64)


class Asked(BaseModel):
    """Who may do what to what, supposing these circumstances (JSON) and within that task."""

    model_config = ConfigDict(extra="forbid")
    who: str = Field(max_length=MAX_NAME)
    action: str = Field(max_length=MAX_NAME)
    what: str = Field(max_length=MAX_NAME)
    task: str = Field(default="", max_length=64)
    given: str = "{}"


class Approved(BaseModel):
    """Which model is approved. `on` may be empty; `digest`, unless empty, is what it must be."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(max_length=MAX_NAME)
    on: str = Field(default="", max_length=MAX_NAME)
    digest: str = Field(default="", max_length=128)


def build(desk: Desk) -> FastAPI:
    """The API over `desk`. Every route depends on `visitor`: a test lists the routes and tries each without."""
    api = uvicorn_server.application("Remit control API")

    async def visitor(request: Request) -> Visitor:
        admitted = await desk.admit(request.state.peer)
        check_route(admitted.reach.role, request.method, request.scope["route"].path)
        offered = request.headers.get(PROOF_HEADER, "")[:MAX_PROOF_ID]
        return dataclasses.replace(admitted, offered=offered) if offered else admitted

    api.add_exception_handler(RemitError, answer_error)
    known = [Depends(visitor)]

    @api.get("/status")
    async def status(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.seen.status(who.reach)

    @api.get("/names")
    async def names(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, str]:
        return desk.seen.names(who.reach)

    @api.get("/explain/{decision}")
    async def explain(
        decision: Annotated[str, PathParameter(max_length=MAX_ID)], who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return await desk.seen.explain(who, decision)

    @api.get("/records")
    async def records(
        who: Annotated[Visitor, Depends(visitor)],
        count: Annotated[int, Query(ge=0)] = 20,
        about: Annotated[str, Query(max_length=MAX_ID)] = "",
    ) -> list[dict[str, Any]]:
        return await desk.seen.records(who, count, about)

    @api.get("/policies", dependencies=known)
    async def policies() -> dict[str, Any]:
        return desk.seen.policies()

    @api.get("/whois")
    async def whois(
        what: Annotated[str, Query(max_length=MAX_NAME)], who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return await desk.seen.whois(who, what)

    @api.get("/can")
    async def may(
        who: Annotated[Visitor, Depends(visitor)],
        asked: Annotated[Asked, Query()],
    ) -> dict[str, Any]:
        supposed = Supposed(asked.who, asked.action, asked.what, given_of(asked.given))
        return await desk.seen.can(who, supposed, asked.task)

    @api.post("/stop")
    async def stop(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.stop(who)

    about_tasks(api, desk, visitor)
    _about_sessions(api, desk, visitor)
    about_workloads(api, desk, visitor)
    about_approvals(api, desk, visitor)
    about_break_glass(api, desk, visitor)
    about_proofs_of_persons(api, desk, visitor)
    _about_models(api, desk, visitor)
    _about_keys(api, desk, visitor)
    return api


def _about_sessions(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """People's sessions."""

    @api.post("/session/nonce")
    async def session_nonce(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.session_nonce(who)

    @api.post("/session")
    async def begin_session(body: SessionBegin, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.begin_session(who, body.seconds, body.id_token, body.nonce)

    @api.delete("/session")
    async def end_session(body: SessionEnd, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.end_session(who, body.session)


def _about_models(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """The models, and their owner's approval. Names come in the body: a model's may have slashes."""

    @api.get("/models")
    async def models(who: Annotated[Visitor, Depends(visitor)]) -> list[dict[str, Any]]:
        return desk.seen.models(who.reach)

    @api.post("/models/approve")
    async def approve_model(body: Approved, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.approve_model(who, body.model, body.on, body.digest)


def _about_keys(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """The trust domain's keys: its bundle, and their rotation."""

    @api.get("/bundle", dependencies=[Depends(visitor)])
    async def bundle() -> dict[str, Any]:
        return desk.seen.bundle()

    @api.get("/oidc", dependencies=[Depends(visitor)])
    async def oidc() -> dict[str, Any]:
        return desk.seen.oidc()

    @api.post("/authority/rotate")
    async def rotate(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.rotate(who)


async def serve(api: FastAPI, path: Path, mode: int = 0o600) -> Callable[[], Awaitable[None]]:
    """Serve `api` on a unix socket of `mode`; the returned function ends it."""
    listening = ListeningSocket.bind(path, mode)
    end = await uvicorn_server.run(api, PeerProtocol, listening.socket)

    async def close() -> None:
        await end()
        listening.remove()

    return close


async def answer_error(_request: Request, error: Exception) -> JSONResponse:
    hint = getattr(error, "hint", "")
    code = error.exit_code if isinstance(error, RemitError) else UsageError.exit_code
    status = 404 if isinstance(error, NotFoundError) else STATUS.get(code, 500)
    said: dict[str, Any] = {"message": str(error), "hint": hint, "exit_code": code}
    if isinstance(error, ProofNeededError):
        status, said["proof"] = 401, error.described()
    return JSONResponse({"error": said}, status_code=status)
