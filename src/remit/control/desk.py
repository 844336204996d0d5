"""The desk: who may speak to control, and the answers it gives. `api.py` puts it on a socket."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from remit.control.approving import meant
from remit.control.break_glass import BreakGlass
from remit.control.deployment import Deployment
from remit.control.governance import Governance
from remit.control.governed import governor
from remit.control.launches import Launches
from remit.control.proofs import Proofs
from remit.control.realm import Realm
from remit.control.registering import person_named
from remit.control.registry_desk import RegistryDesk
from remit.control.roles import Reach
from remit.control.sessions import Sessions
from remit.control.survey import Keys, Survey, public
from remit.control.visitor import NotAdmittedError, Visitor
from remit.errors import AttestationError
from remit.identity import PeerCredentials, Process
from remit.inventory import Human, Workload, binding
from remit.persons import Act, Shown
from remit.policy import Snapshot


class Deliveries(Protocol):
    """Puts a Snapshot in force at every worker; True when all acknowledged, False while some are pending."""

    async def __call__(self, snapshot: Snapshot) -> bool: ...


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
        request_stop: Callable[[str], None],
        registry: RegistryDesk,
        launches: Launches,
        sessions: Sessions,
        proofs: Proofs,
        break_glass: BreakGlass,
        keys: Keys,
        survey: Survey,
    ) -> None:
        self._realm, self._deployment, self._governance = realm, deployment, governance
        self._observe, self._terminal_proof = observe, terminal_proof
        self._deliver, self._request_stop = deliver, request_stop
        self._launches, self._sessions, self._keys = launches, sessions, keys
        self.registry, self.break_glass, self.seen = registry, break_glass, survey
        self.proofs, self._proving = proofs, proofs.proving

    async def meet(self, uid: int) -> tuple[Human, Reach]:
        """The person of that uid, and what they reach; raises NotAdmittedError for one that is no person's."""
        return await self._governance.visitor(self._realm, uid)

    async def admit(self, peer: PeerCredentials) -> Visitor:
        """The visitor behind a connection's kernel credentials; raises NotAdmittedError for anyone else."""
        human, reach = await self.meet(peer.uid)
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
        door = self.seen.doors.get(workload.name, {})
        return {"task": public(task.to_dict()), "token": token, "door": door, "pending": not settled}

    async def end_task(self, who: Visitor, task_id: str, why: str) -> dict[str, Any]:
        task = self._realm.tasks.get(task_id)
        target = self._realm.known_workloads.get(task.on) if task is not None else None
        whose = {task.human if task else "", target.owner if target else ""}
        if task is not None and not any(map(who.reach.governs, whose)):
            raise NotAdmittedError(f"task `{task_id}` is another person's")
        ended = await self._realm.tasking.end(task_id, why)
        settled = await self._deliver(self._realm.snapshot())
        unrecorded = self._realm.endings.unrecorded.get(task_id, "")
        return {"task": public(ended.to_dict()), "pending": not settled, "unrecorded": unrecorded}

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

    async def rotate(self, who: Visitor) -> dict[str, Any]:
        """Begin a rotation of the authority, or say how far the one under way is."""
        await self._proving.require(who, Act.AUTHORITY_ROTATE, Shown.of(trust_domain=self._realm.trust.domain))
        return await self._keys.rotate()

    async def approve_model(self, who: Visitor, name: str, on: str, digest: str) -> dict[str, Any]:
        """Bind a server to its model as it is now and is shown, by its owner's word: one that changes is another."""
        who.check_not_governed()
        workload = meant(self.seen.seen(who.reach), name, on)
        now = binding.approve(workload, name, digest or None).bindings[-1].identity
        shown = Shown.of(model=name, on=workload.name, digest=now.weights, identity=now.digest)
        kind = (await self._proving.require(who, Act.MODEL_APPROVE, shown)).kind.value
        bound = await self._realm.bindings.approve(who.human, workload.spiffe_id, name, now.digest, kind)
        settled = await self._deliver(self._realm.snapshot())
        told = {"model": name, "on": workload.name, "digest": bound.identity.weights}
        return {**told, "identity": bound.identity.digest, "proof": kind, "pending": not settled}

    def _theirs(self, who: Visitor, name: str) -> Workload:
        """The workload in force of that name, which is the visitor's to see."""
        workload = self._realm.workload_named(name)
        who.reach.check_sees(f"`{name}`", workload.owner, workload.uid)
        return workload

    async def stop(self, who: Visitor) -> dict[str, Any]:
        proof = await self._proving.require(who, Act.STOP, Shown.of(instance=self._deployment.state))
        self._request_stop(f"`remit down` by {who.human.person} ({proof.kind})")
        return {"pid": self._deployment.pid}
