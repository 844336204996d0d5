"""The caller: only this file makes one, of an attested process or of a SPIFFE ID that was verified."""

from remit.errors import AttestationError
from remit.identity import Caller, Process, Proof, SpiffeId
from remit.identity.attestation import Attested, with_task
from remit.inventory import Human, Workload
from remit.policy import Engine, Snapshot
from remit.tasks import Launched


def by_process(attested: Attested, proof: Proof, engine: Engine, now: float) -> Caller:
    """Who a process is: a workload or its person; raises AttestationError for one of nobody known here."""
    process, snapshot = attested.process, engine.snapshot
    if process is not None:
        process = with_task(process, Launched(snapshot.tasks, now))
        workload = engine.workload_of(process)
        if workload is not None:
            return _of_workload(workload, proof, process, attested.exhaustive, snapshot)
    human = next((known for known in snapshot.humans if attested.uid in known.uids), None)
    if human is None:
        raise AttestationError(
            f"uid {attested.uid} acts for no person known here",
            hint="only people with an account on this machine are known; ask the owner of this Remit",
        )
    return _of_person(human, proof, process, attested.exhaustive, snapshot)


def by_svid(spiffe_id: SpiffeId, proof: Proof, process: Process | None, engine: Engine) -> Caller:
    """Who a verified SPIFFE ID is; raises AttestationError for one of nobody known here."""
    snapshot = engine.snapshot
    if (workload := engine.workload(spiffe_id)) is not None:
        return _of_workload(workload, proof, process, True, snapshot)
    for human in snapshot.humans:
        if spiffe_id == SpiffeId.of(snapshot.trust_domain, "user", human.name):
            return _of_person(human, proof, process, True, snapshot)
    raise AttestationError(f"`{spiffe_id}` is no identity of this trust domain, or no longer one")


def _of_workload(
    workload: Workload, proof: Proof, process: Process | None, exhaustive: bool, snapshot: Snapshot
) -> Caller:
    person = next((human.person for human in snapshot.humans if human.name == workload.owner), "")
    return Caller(workload.spiffe_id, workload.owner, person, proof, process, True, exhaustive)


def _of_person(human: Human, proof: Proof, process: Process | None, exhaustive: bool, snapshot: Snapshot) -> Caller:
    spiffe_id = SpiffeId.of(snapshot.trust_domain, "user", human.name)
    return Caller(spiffe_id, human.name, human.person, proof, process, False, exhaustive)
