"""The desk: who may speak to control, and the answers it gives. `api.py` puts it on a socket."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from remit.control.approval_desk import ApprovalDesk
from remit.control.approving import meant
from remit.control.break_glass import BreakGlass
from remit.control.deployment import Deployment
from remit.control.governance import Governance
from remit.control.governed import governor
from remit.control.launches import Launches
from remit.control.proofs import Proofs
from remit.control.realm import Realm
from remit.control.registry_desk import RegistryDesk
from remit.control.roles import Reach
from remit.control.sessions import Sessions
from remit.control.survey import Keys, Survey
from remit.control.task_desk import TaskDesk
from remit.control.visitor import NotAdmittedError, Visitor
from remit.errors import AttestationError
from remit.identity import PeerCredentials, Process
from remit.inventory import Human, binding
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
        tasks: TaskDesk,
        approvals: ApprovalDesk,
    ) -> None:
        self._realm, self._deployment, self._governance = realm, deployment, governance
        self._observe, self._terminal_proof = observe, terminal_proof
        self._deliver, self._request_stop = deliver, request_stop
        self._launches, self._sessions, self._keys = launches, sessions, keys
        self.registry, self.break_glass, self.seen, self.tasks = registry, break_glass, survey, tasks
        self.approvals = approvals
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
        """Bind a server to its model as it is now and is shown, by the word of its owner or a deployer.

        A model that changes is another.
        """
        who.check_not_governed()
        who.reach.check_deploys()
        workload = meant(self.seen.deployable(who.reach), name, on)
        now = binding.approve(workload, name, digest or None).bindings[-1].identity
        shown = Shown.of(model=name, on=workload.name, digest=now.weights, identity=now.digest)
        kind = (await self._proving.require(who, Act.MODEL_APPROVE, shown)).kind.value
        bound = await self._realm.bindings.approve(
            who.human, workload.spiffe_id, name, now.digest, kind, deployer=bool(who.reach.deployer)
        )
        settled = await self._deliver(self._realm.snapshot())
        told = {"model": name, "on": workload.name, "digest": bound.identity.weights}
        return {**told, "identity": bound.identity.digest, "proof": kind, "pending": not settled}

    async def stop(self, who: Visitor) -> dict[str, Any]:
        proof = await self._proving.require(who, Act.STOP, Shown.of(instance=self._deployment.state))
        self._request_stop(f"`remit down` by {who.human.person} ({proof.kind})")
        return {"pid": self._deployment.pid}
