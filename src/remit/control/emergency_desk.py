"""The control API of an emergency instance: what it is, and the way to close it. It changes nothing else."""

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request

from remit.control import uvicorn_server
from remit.control.api import answer_error
from remit.control.break_glass import BreakGlass
from remit.control.condition import raises, why
from remit.control.deployment import Deployment
from remit.control.governance import Governance
from remit.control.guards import Guards
from remit.control.moments import this_moment
from remit.control.realm import Realm
from remit.control.roles import Reach, check_route
from remit.control.visitor import NotAdmittedError, Visitor
from remit.control.workers import Workers
from remit.errors import AttestationError, RemitError
from remit.identity import PeerCredentials
from remit.inventory import Workload
from remit.inventory.binding import standing_of
from remit.persons.break_glass import BreakGlassError, check_none_open
from remit.policy.observing import said

TEXT: Final = "none: this is an emergency instance, which issues nothing"
# What `remit status` shows of a whole instance and this one has none of.
NONE_HERE: Final[dict[str, Any]] = {
    "registered": [],
    "tasks": [],
    "sessions": [],
    "closed": [],
    "conflicts": [],
    "duties": [],
    "decisions": {},
    "presence": {},
    "approvals": 0,
    "would_refuse": {"number": 0, "most": []},
}


class EmergencyDesk:
    """Answers `status`, `break-glass list` and `break-glass close`."""

    def __init__(
        self,
        deployment: Deployment,
        governance: Governance,
        realm: Realm,
        guards: Guards,
        workers: Workers,
        glass: BreakGlass,
        failures: Callable[[], list[str]],
    ) -> None:
        self._deployment, self._governance, self._realm = deployment, governance, realm
        self._guards, self._workers, self.glass, self._failures = guards, workers, glass, failures

    async def admit(self, peer: PeerCredentials) -> Visitor:
        """As the desk of a whole instance does; what runs under a workload reads here, and closing only narrows."""
        human, reach = await self._governance.visitor(self._realm, peer.uid)
        try:
            with await asyncio.to_thread(peer.process.attest) as attested:
                process = attested.process
        except AttestationError as error:
            raise NotAdmittedError(f"process {peer.pid} can't be attested: {error}", hint=error.hint) from error
        assert process is not None  # noqa: S101 - who connects to a unix socket is known by process
        return Visitor(process, human, "uid", reach=reach)

    def status(self, reach: Reach) -> dict[str, Any]:
        """What `remit status` shows of it, as far as there is any."""
        realm, standing = self._realm, self._realm.standing
        deployment = dataclasses.asdict(self._deployment)
        return {
            **{key: deployment[key] for key in ("version", "pid", "owner", "shared", "uid", "api", "state")},
            "emergency": True,
            "up_seconds": round(time.time() - self._deployment.started, 1),
            "trust_domain": realm.trust.domain,
            "identity": {"source": "none", "issues": False, "text": TEXT},
            "role": reach.role.value,
            "grade": standing.letter,
            "grade_why": why(standing),
            "raises": raises(standing),
            "facts": [],
            "guarded": [
                self._row(one) for one in realm.workloads.values() if one.server and reach.sees(one.owner, one.uid)
            ],
            "unseen": self._guards.unseen,
            "policies": {
                "dir": "built in",
                "signed": "",
                "set": realm.policies.digest,
                "files": [],
                "warning": "",
                **said(False),
            },
            **NONE_HERE,
            "break_glass": self.glass.standing(),
            "workers": {zone: worker.child.pid for zone, worker in self._workers.live.items()},
            "audit": {
                "dir": self._deployment.audit_dir,
                "public_key": self._deployment.audit_key,
                "failures": self._failures(),
                "unrecorded": {},
            },
            "workload_api": "",
            "tokens": "",
        }

    def _row(self, one: Workload) -> dict[str, Any]:
        return {
            "name": one.name,
            "spiffe_id": str(one.spiffe_id),
            "server": one.server,
            "owner": one.owner,
            "state": one.state.value,
            "upstream": one.upstream,
            "class": [capability.value for capability in one.capabilities],
            "pid": one.pid,
            "models": [
                {"name": model.name, "digest": model.digest, "standing": standing_of(one, model).value}
                for model in one.models
            ],
            "silent_since": self._guards.silent.get(one.spiffe_id),
            **self._guards.urls.get(one.name, {}),
        }


def build(desk: EmergencyDesk) -> FastAPI:
    """The API over `desk`. What it has no route for is refused, whatever it would do."""
    api = uvicorn_server.application("Remit, in an emergency")
    api.add_exception_handler(RemitError, answer_error)

    async def visitor(request: Request) -> Visitor:
        admitted = await desk.admit(request.state.peer)
        check_route(admitted.reach.role, request.method, request.scope["route"].path)
        return admitted

    _routes(api, desk, visitor)

    @api.api_route("/{anything:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def nothing_else(anything: str) -> None:
        raise BreakGlassError(
            f"an emergency instance (pid {os.getpid()}) answers here: it has no `{anything[:64]}`",
            hint="it lets one person's calls through and keeps nothing: `remit break-glass close` ends it",
        )

    return api


def _routes(api: FastAPI, desk: EmergencyDesk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    @api.get("/status")
    async def status(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.status(who.reach)

    @api.get("/break-glass")
    async def listed(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.glass.listed(who.reach)

    @api.post("/break-glass")
    async def opened(_who: Annotated[Visitor, Depends(visitor)]) -> None:
        check_none_open(desk.glass.book.openings().values(), this_moment())
        raise BreakGlassError("this emergency instance is ending", hint="ask again in a moment")

    @api.post("/break-glass/close")
    async def closed(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.glass.close(who)
