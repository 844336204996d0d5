"""What there is to see here, each time narrowed to whoever looks."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from remit.control import records_shown, task_rows
from remit.control.approving import described
from remit.control.break_glass import BreakGlass
from remit.control.closed_ways import closed_ways
from remit.control.condition import Condition, raises, why
from remit.control.consulted import Consulted
from remit.control.deployment import Deployment
from remit.control.explaining import explained, names_seen, not_theirs, on_record
from remit.control.lately import Lately
from remit.control.portrait import Sources
from remit.control.realm import Realm
from remit.control.registry_desk import RegistryDesk
from remit.control.roles import Reach, Role
from remit.control.separation import Separation
from remit.control.sessions import Sessions
from remit.control.supposing import can
from remit.control.visitor import Visitor
from remit.control.whois import seen_by
from remit.errors import NotFoundError
from remit.identity import Process, SpiffeId
from remit.inventory import Workload
from remit.inventory.binding import standing_of
from remit.policy.in_force import InForce
from remit.policy.observing import said
from remit.policy.supposed import Supposed


class Keys(Protocol):
    """The source of identity: what it is and publishes, and how it is rotated before its time."""

    def described(self) -> dict[str, Any]: ...

    def bundle(self) -> dict[str, Any]: ...

    def published(self) -> dict[str, Any]: ...

    async def rotate(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Answers that only tell. `doors` are the ways to call each workload, by name; `silent` since when (Unix seconds)
    a server has not answered; `unseen` why the machine can't be looked at just now, or nothing; `ports` gives the
    processes that listen on one; `decisions` the ways to ask the zone of decisions, once it runs."""

    realm: Realm
    deployment: Deployment
    observe: Callable[[int], Process]
    lately: Callable[[float], Lately]
    ports: Callable[[int], list[int]]
    workers: Callable[[], dict[str, int]]
    failures: Callable[[], list[str]]
    doors: Mapping[str, Mapping[str, str]]
    silent: Mapping[SpiffeId, float]
    unseen: Callable[[], str]
    keys: Keys
    registry: RegistryDesk
    sessions: Sessions
    condition: Condition
    break_glass: BreakGlass
    approvals: Callable[[Reach], int] = lambda _reach: 0
    tokens: str = ""
    issuer: str = ""
    separation: Separation | None = None
    consulted: Consulted = field(default_factory=Consulted)
    decisions: dict[str, str] = field(default_factory=dict)

    def status(self, reach: Reach) -> dict[str, Any]:
        """Everything `remit status` shows to somebody of that reach."""
        deployment, realm, identity = self.deployment, self.realm, self.keys.described()
        standing = realm.standing
        return {
            "version": deployment.version,
            "pid": deployment.pid,
            "up_seconds": round(time.time() - deployment.started, 1),
            "trust_domain": realm.trust.domain,
            "identity": identity,
            "owner": deployment.owner,
            "shared": deployment.shared,
            "role": reach.role.value,
            "duties": [word for word, has in (("deployer", reach.deployer), ("approver", reach.approver)) if has],
            "uid": deployment.uid,
            "grade": standing.letter,
            "grade_why": why(standing),
            "raises": raises(standing),
            "facts": self.facts(reach),
            "guarded": self.guarded(reach),
            "unseen": self.unseen(),
            "closed": closed_ways(self.condition, self.realm.workloads.values(), self.seen(reach), self.doors),
            "registered": self.registry.registered(reach),
            "policies": self.policies(),
            "would_refuse": self.realm.would_refuse.shown(self.realm.workloads.values(), reach),
            "presence": {name: so for name, so in self.realm.presence.items() if reach.sees(name)},
            "break_glass": self.break_glass.standing(),
            "approvals": self.approvals(reach),
            "tasks": self.tasks(reach),
            "conflicts": self.separation.shown(reach) if self.separation is not None else [],
            "sessions": [one for one in self.sessions.open() if reach.sees(one["human"])],
            "workers": self.workers(),
            "audit": {
                "dir": deployment.audit_dir,
                "public_key": deployment.audit_key,
                "failures": self.failures(),
                "unrecorded": dict(realm.endings.unrecorded) if reach.role is not Role.PERSON else {},
            },
            "workload_api": deployment.workload_api if identity["issues"] else "",
            "tokens": self.tokens,
            "decisions": self.decisions,
            "api": deployment.api,
            "state": deployment.state,
        }

    def facts(self, reach: Reach) -> list[dict[str, str]]:
        """What the grade rests on, and what else was looked at."""
        seen = self.seen(reach)
        return self.condition.shown(seen, [one for one in self.realm.workloads.values() if one not in seen])

    def guarded(self, reach: Reach) -> list[dict[str, Any]]:
        """The guarded workloads with the ways to call each."""
        return [
            {
                "name": workload.name,
                "spiffe_id": str(workload.spiffe_id),
                "kind": workload.kind.value,
                "server": workload.server,
                "owner": workload.owner,
                "state": workload.state.value,
                "upstream": workload.upstream,
                "reach": workload.reach,
                "class": [capability.value for capability in workload.capabilities],
                "pid": workload.pid,
                "uid": workload.uid,
                "exe": workload.exe,
                "exe_sha256": workload.exe_sha256,
                "grade": self.realm.grade_of(workload),
                "models": [
                    {"name": model.name, "digest": model.digest, "standing": standing_of(workload, model).value}
                    for model in workload.models
                ],
                "demonstration": workload.demonstration,
                "silent_since": self.silent.get(workload.spiffe_id),
                **self.doors.get(workload.name, {}),
            }
            for workload in self.realm.workloads.values()
            if workload.server and reach.sees(workload.owner, workload.uid)
        ]

    def policies(self) -> dict[str, Any]:
        policies = self.realm.policies
        bundle = policies.bundle
        return {
            "dir": self.deployment.policies,
            "signed": f"signed by {bundle['signer']}, serial {bundle['serial']}" if bundle else "",
            "set": policies.digest,
            "files": [file.name for file in policies.files],
            "warning": policies.warning,
            **said(self.realm.observing),
        }

    def names(self, reach: Reach) -> dict[str, str]:
        """Pseudonym to name, for those who may see it."""
        return names_seen(self.realm, reach)

    async def explain(self, who: Visitor, decision: str) -> dict[str, Any]:
        """One decision of theirs, from the log."""
        try:
            found = await asyncio.to_thread(on_record, Path(self.deployment.audit_dir), decision)
        except NotFoundError:
            raise not_theirs(decision) from None
        return await self.consulted.ask(self.realm.current(), partial(explained, found, self.realm, who.reach))

    async def records(self, who: Visitor, count: int, about: str) -> list[dict[str, Any]]:
        """The newest records of the log that they see, or those about one thing."""
        audit = Path(self.deployment.audit_dir)
        if about:
            return await asyncio.to_thread(records_shown.about, audit, about, self.realm, who.reach)
        return await asyncio.to_thread(records_shown.newest, audit, count, self.realm, who.reach)

    def tasks(self, reach: Reach) -> list[dict[str, Any]]:
        """Those that run."""
        return task_rows.running(self.realm, reach, time.time())

    async def can(self, who: Visitor, supposed: Supposed, task_id: str) -> dict[str, Any]:
        """What the policies in force say to it, were it asked for."""
        now = time.time()
        return await self.consulted.ask(
            self.realm.current(), lambda in_force: can(self.realm, in_force, who.reach, supposed, task_id, now)
        )

    async def whois(self, who: Visitor, what: str) -> dict[str, Any]:
        now = time.time()
        asked = partial(self._whois, who, what, self.lately(now), now)
        return await self.consulted.ask(self.realm.current(), asked)

    def _whois(self, who: Visitor, what: str, lately: Lately, now: float, in_force: InForce) -> dict[str, Any]:
        sources = Sources(
            realm=self.realm,
            in_force=in_force,
            observe=self.observe,
            ports=self.ports,
            doors=self.doors,
            lately=lately,
            control=self.deployment.pid,
            gateways=self.workers(),
            grade_why=why(self.realm.standing),
            now=now,
            given=self.keys.described().get("spiffe_id", ""),
        )
        return seen_by(who.reach, what, sources)

    def models(self, reach: Reach) -> list[dict[str, Any]]:
        """The models of all guarded servers, and how each stands to what its server is bound to."""
        return described(self.deployable(reach))

    def bundle(self) -> dict[str, Any]:
        """The trust domain's bundle in SPIFFE's format."""
        return self.keys.bundle()

    def oidc(self) -> dict[str, Any]:
        """What `remit oidc publish` writes down for relying parties that can't reach this machine."""
        return {"issuer": self.issuer, **self.keys.published()}

    def deployable(self, reach: Reach) -> list[Workload]:
        """Those whose models they see: what a deployer says is used may be anybody's."""
        return list(self.realm.workloads.values()) if reach.deployer else self.seen(reach)

    def seen(self, reach: Reach) -> list[Workload]:
        return [one for one in self.realm.workloads.values() if reach.sees(one.owner, one.uid)]
