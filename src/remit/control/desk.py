"""The desk: who may speak to control, and the answers it gives. `api.py` puts it on a socket."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from remit.control import records_shown
from remit.control.approving import described, meant
from remit.control.break_glass import BreakGlass
from remit.control.condition import Condition, raises, why
from remit.control.deployment import Deployment
from remit.control.explaining import explained, names_seen
from remit.control.governance import Governance
from remit.control.governed import governor
from remit.control.lately import Lately
from remit.control.launches import Launches
from remit.control.portrait import Sources
from remit.control.proofs import Proofs
from remit.control.realm import Realm
from remit.control.registering import person_named
from remit.control.registry_desk import RegistryDesk
from remit.control.roles import Reach, Role
from remit.control.sessions import Sessions
from remit.control.visitor import NotAdmittedError, Visitor
from remit.control.whois import seen_by
from remit.errors import AttestationError
from remit.identity import PeerCredentials, Process, SpiffeId
from remit.inventory import Workload
from remit.inventory.binding import standing_of
from remit.persons import Act, Shown
from remit.policy import Engine, Snapshot


class Deliveries(Protocol):
    """Puts a Snapshot in force at every worker; True when all acknowledged, False while some are pending."""

    async def __call__(self, snapshot: Snapshot) -> bool: ...


class Keys(Protocol):
    """The source of identity: what it is and publishes, and how it is rotated before its time."""

    def described(self) -> dict[str, Any]: ...

    def bundle(self) -> dict[str, Any]: ...

    def published(self) -> dict[str, Any]: ...

    async def rotate(self) -> dict[str, Any]: ...


class Desk:
    """Answers control's callers, each with what is theirs. What widens reach also records how they were known."""

    def __init__(
        self,
        *,
        realm: Realm,
        deployment: Deployment,
        governance: Governance,
        observe: Callable[[int], Process],
        terminal_proof: Callable[[Process], str],
        deliver: Deliveries,
        lately: Callable[[float], Lately],
        ports: Callable[[int], list[int]],
        workers: Callable[[], dict[str, int]],
        failures: Callable[[], list[str]],
        doors: Mapping[str, Mapping[str, str]],
        silent: Mapping[SpiffeId, float],
        keys: Keys,
        request_stop: Callable[[str], None],
        registry: RegistryDesk,
        launches: Launches,
        issuer: str = "",
        sessions: Sessions,
        proofs: Proofs,
        condition: Condition,
        break_glass: BreakGlass,
        tokens: str = "",
    ) -> None:
        self._realm, self._deployment, self._governance = realm, deployment, governance
        self._observe, self._terminal_proof = observe, terminal_proof
        self._deliver, self._lately, self._ports, self._workers = deliver, lately, ports, workers
        self._failures = failures
        self._request_stop = request_stop
        self._doors, self._silent, self._launches, self.registry = doors, silent, launches, registry
        self._condition = condition
        self.proofs, self._proving, self.break_glass = proofs, proofs.proving, break_glass
        self._keys, self._issuer, self._sessions, self._tokens = keys, issuer, sessions, tokens

    async def admit(self, peer: PeerCredentials) -> Visitor:
        """The visitor behind a connection's kernel credentials; raises NotAdmittedError for anyone else."""
        human, reach = await self._governance.visitor(self._realm, peer.uid)
        try:
            with await asyncio.to_thread(peer.process.attest) as attested:
                process = attested.process
        except AttestationError as error:
            raise NotAdmittedError(f"process {peer.pid} can't be attested: {error}", hint=error.hint) from error
        assert process is not None  # noqa: S101 - who connects to a unix socket is known by process
        process = self._launches.with_task(process)
        in_force = tuple(self._realm.workloads.values())
        above = await asyncio.to_thread(governor, process, in_force, self._observe)
        return Visitor(process, human, self._terminal_proof(process), above, reach=reach)

    def status(self, reach: Reach) -> dict[str, Any]:
        """Everything `remit status` shows to somebody of that reach."""
        deployment, realm, identity = self._deployment, self._realm, self._keys.described()
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
            "uid": deployment.uid,
            "grade": standing.letter,
            "grade_why": why(standing),
            "raises": raises(standing),
            "facts": self.facts(reach),
            "guarded": self.guarded(reach),
            "registered": self.registry.registered(reach),
            "policies": self.policies(),
            "break_glass": self.break_glass.standing(),
            "tasks": self.tasks(reach),
            "sessions": [one for one in self._sessions.open() if reach.sees(one["human"])],
            "workers": self._workers(),
            "audit": {
                "dir": deployment.audit_dir,
                "public_key": deployment.audit_key,
                "failures": self._failures(),
                "unrecorded": dict(realm.endings.unrecorded) if reach.role is not Role.PERSON else {},
            },
            "workload_api": deployment.workload_api if identity["issues"] else "",
            "tokens": self._tokens,
            "api": deployment.api,
            "state": deployment.state,
        }

    def facts(self, reach: Reach) -> list[dict[str, str]]:
        """What the grade rests on, and what else was looked at."""
        seen = self._seen(reach)
        return self._condition.shown(seen, [one for one in self._realm.workloads.values() if one not in seen])

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
                "grade": self._realm.grade_of(workload),
                "models": [
                    {"name": model.name, "digest": model.digest, "standing": standing_of(workload, model).value}
                    for model in workload.models
                ],
                "demonstration": workload.demonstration,
                "silent_since": self._silent.get(workload.spiffe_id),
                **self._doors.get(workload.name, {}),
            }
            for workload in self._realm.workloads.values()
            if workload.server and reach.sees(workload.owner, workload.uid)
        ]

    def policies(self) -> dict[str, Any]:
        policies = self._realm.policies
        return {
            "dir": self._deployment.policies,
            "set": policies.digest,
            "files": [file.name for file in policies.files],
            "warning": policies.warning,
        }

    def names(self, reach: Reach) -> dict[str, str]:
        """Pseudonym to name, for those who may see it."""
        return names_seen(self._realm, reach)

    async def explain(self, who: Visitor, decision: str) -> dict[str, Any]:
        """One decision of theirs, from the log."""
        audit = Path(self._deployment.audit_dir)
        return await asyncio.to_thread(explained, audit, decision, self._realm, who.reach)

    async def records(self, who: Visitor, count: int, about: str) -> list[dict[str, Any]]:
        """The newest records of the log that they see, or those about one thing."""
        audit = Path(self._deployment.audit_dir)
        if about:
            return await asyncio.to_thread(records_shown.about, audit, about, self._realm, who.reach)
        return await asyncio.to_thread(records_shown.newest, audit, count, self._realm, who.reach)

    def tasks(self, reach: Reach) -> list[dict[str, Any]]:
        now = time.time()
        names = {workload.spiffe_id: workload.name for workload in self._realm.workloads.values()}
        known = self._realm.known_workloads
        owners = {task.on: known[task.on].owner for task in self._realm.tasks.values() if task.on in known}
        return [
            {
                **_public(task.to_dict()),
                "on_name": names.get(task.on, str(task.on)),
                "left": round(task.expires - now, 1),
            }
            for task in self._realm.tasks.values()
            if task.live(now) and (reach.sees(task.human) or reach.sees(owners.get(task.on, "")))
        ]

    async def whois(self, who: Visitor, what: str) -> dict[str, Any]:
        now = time.time()
        sources = Sources(
            realm=self._realm,
            engine=Engine(self._realm.current()),
            observe=self._observe,
            ports=self._ports,
            doors=self._doors,
            lately=self._lately(now),
            control=self._deployment.pid,
            gateways=self._workers(),
            grade_why=why(self._realm.standing),
            now=now,
            given=self._keys.described().get("spiffe_id", ""),
        )
        return await asyncio.to_thread(seen_by, who.reach, what, sources)

    async def start_task(
        self,
        who: Visitor,
        on: str,
        actions: tuple[str, ...],
        purpose: str,
        seconds: float,
        *,
        human: str = "",
        launched: bool = False,
    ) -> dict[str, Any]:
        """Start a task, for `human` or who asks; its token is in the answer and nowhere else.

        `launched`: for the very process that asks.
        """
        shown = Shown.of(
            on=on, actions=actions, purpose=purpose, seconds=seconds, human=human or who.human.name, launched=launched
        )
        proof = await self._proving.require(who, Act.TASK_START, shown)
        workload = self._theirs(who, on)
        process = (who.process.pid, who.process.start) if launched else None
        task, token = await self._realm.tasking.start(
            who.human,
            workload.spiffe_id,
            actions,
            purpose=purpose,
            seconds=seconds,
            proof=proof.kind.value,
            human=person_named(self._realm, human) if human else None,
            launched=process,
        )
        await self._launches.watch(task)
        settled = await self._deliver(self._realm.snapshot())
        door = self._doors.get(workload.name, {})
        return {"task": _public(task.to_dict()), "token": token, "door": door, "pending": not settled}

    async def end_task(self, who: Visitor, task_id: str, why: str) -> dict[str, Any]:
        task = self._realm.tasks.get(task_id)
        target = self._realm.known_workloads.get(task.on) if task is not None else None
        whose = {task.human if task else "", target.owner if target else ""}
        if task is not None and not any(map(who.reach.governs, whose)):
            raise NotAdmittedError(f"task `{task_id}` is another person's")
        ended = await self._realm.tasking.end(task_id, why)
        settled = await self._deliver(self._realm.snapshot())
        unrecorded = self._realm.endings.unrecorded.get(task_id, "")
        return {"task": _public(ended.to_dict()), "pending": not settled, "unrecorded": unrecorded}

    def session_nonce(self, who: Visitor) -> dict[str, Any]:
        """What beginning a session takes."""
        who.check_not_governed()
        return self._sessions.asked(who.process.uid)

    async def begin_session(self, who: Visitor, seconds: float, id_token: str, nonce: str) -> dict[str, Any]:
        """Begin a person's session; its token is in the answer and nowhere else."""
        shown = Shown.of(seconds=seconds, nonce=nonce, id_token_sha256=hashlib.sha256(id_token.encode()).hexdigest())
        proof = await self._proving.require(who, Act.SESSION_BEGIN, shown)
        return await self._sessions.begin(who.human, who.process.uid, proof.kind.value, seconds, id_token, nonce)

    async def end_session(self, who: Visitor, session_id: str) -> dict[str, Any]:
        """End a person's session, or all of them."""
        try:
            ended = await self._sessions.end(who.human, session_id)
        finally:  # what was kept is in force, also when the end of one could not be written
            settled = await self._deliver(self._realm.snapshot())
        return {"ended": ended, "pending": not settled}

    def bundle(self) -> dict[str, Any]:
        """The trust domain's bundle in SPIFFE's format."""
        return self._keys.bundle()

    def oidc(self) -> dict[str, Any]:
        """What `remit oidc publish` writes down for relying parties that can't reach this machine."""
        return {"issuer": self._issuer, **self._keys.published()}

    async def rotate(self, who: Visitor) -> dict[str, Any]:
        """Begin a rotation of the authority, or say how far the one under way is."""
        await self._proving.require(who, Act.AUTHORITY_ROTATE, Shown.of(trust_domain=self._realm.trust.domain))
        return await self._keys.rotate()

    def models(self, reach: Reach) -> list[dict[str, Any]]:
        """The models of all guarded servers, and how each stands to what its server is bound to."""
        return described(self._seen(reach))

    async def approve_model(self, who: Visitor, name: str, on: str, digest: str) -> dict[str, Any]:
        """Bind a server to its model as it is now, by its owner's word."""
        proof = await self._proving.require(who, Act.MODEL_APPROVE, Shown.of(model=name, on=on, digest=digest))
        kind = proof.kind.value
        workload = meant(self._seen(who.reach), name, on)
        bound = await self._realm.bindings.approve(who.human, workload.spiffe_id, name, digest or None, kind)
        settled = await self._deliver(self._realm.snapshot())
        told = {"model": name, "on": workload.name, "digest": bound.identity.weights}
        return {**told, "identity": bound.identity.digest, "proof": kind, "pending": not settled}

    def _theirs(self, who: Visitor, name: str) -> Workload:
        """The workload in force of that name, which is the visitor's to see."""
        workload = self._realm.workload_named(name)
        who.reach.check_sees(f"`{name}`", workload.owner, workload.uid)
        return workload

    def _seen(self, reach: Reach) -> list[Workload]:
        return [one for one in self._realm.workloads.values() if reach.sees(one.owner, one.uid)]

    async def stop(self, who: Visitor) -> dict[str, Any]:
        proof = await self._proving.require(who, Act.STOP, Shown.of(instance=self._deployment.state))
        self._request_stop(f"`remit down` by {who.human.person} ({proof.kind})")
        return {"pid": self._deployment.pid}


def _public(task: dict[str, Any]) -> dict[str, Any]:
    """A task as it may be shown: without the digest of its token."""
    return {key: value for key, value in task.items() if key != "token_sha256"}
