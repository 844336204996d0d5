"""Whom a question is about, and by whose word: the caller, or whom a registered enforcement point names."""

from dataclasses import replace
from typing import Final

from remit.errors import AttestationError, IdentityError, ProtocolError
from remit.gateway.callers import by_svid
from remit.gateway.decisions.authzen import Entity, Evaluation
from remit.gateway.decisions.decisions import Decisions
from remit.identity import Caller, Proof, SpiffeId
from remit.policy.question import USER
from remit.tasks import Task

WORKLOAD: Final = "workload"
HUMAN: Final = "human"
OURS: Final = frozenset({WORKLOAD, HUMAN})  # types of subjects that Remit itself knows; all others are a point's
SCHEME: Final = "spiffe://"


class NotYoursError(ProtocolError):
    """A question about somebody else, by a caller whose word about others is not taken. `rule` is `not-a-point`."""

    rule = "not-a-point"

    def __init__(self, message: str) -> None:
        super().__init__(message, status=403, hint="ask about yourself, or ask whoever runs remit on this machine")


def subject(said: Entity, caller: Caller, decisions: Decisions) -> Caller:
    """Who acts; raises NotYoursError, and AttestationError for nobody known here.

    A point's own users are nobody here: then it is the point that acts, for whom it says.
    """
    point = decisions.is_point(caller)
    if said.type not in OURS:
        if not point:
            raise NotYoursError(f"only a registered enforcement point may ask about a `{said.type}`")
        return caller
    if not point:
        return _itself(said, caller, decisions)
    spiffe_id = named(said, decisions)
    if spiffe_id == caller.spiffe_id:
        return caller
    return by_svid(spiffe_id, Proof.VOUCHED, None, decisions.zone.engine)


def _itself(said: Entity, caller: Caller, decisions: Decisions) -> Caller:
    """Raises NotYoursError, whoever else there is or is not: others' names are not found out by asking."""
    try:
        if named(said, decisions) == caller.spiffe_id:
            return caller
    except IdentityError:
        pass
    raise NotYoursError("only a registered enforcement point may ask about others")


def named(said: Entity, decisions: Decisions) -> SpiffeId:
    """The SPIFFE ID of a workload or a person of this trust domain, by ID or by name; raises AttestationError."""
    snapshot = decisions.zone.snapshot
    if said.id.startswith(SCHEME):
        return SpiffeId.parse(said.id)
    if said.type == HUMAN:
        return SpiffeId.of(snapshot.trust_domain, USER, said.id)
    found = next((one.spiffe_id for one in snapshot.workloads if one.name == said.id), None)
    if found is None:
        raise AttestationError("no workload of that name is enrolled here")
    return found


def in_task(acts: Caller, asked: Evaluation, caller: Caller, decisions: Decisions) -> tuple[Caller, Task | None]:
    """A point names the task in the context; who asks for itself shows its token. Raises NotYoursError."""
    said = asked.context.get("task")
    if said is None or said == acts.task:
        return acts, decisions.task(acts.task)
    if not isinstance(said, str) or not decisions.is_point(caller):
        raise NotYoursError("the task is not that of this caller's token")
    task = decisions.task(said)
    return replace(acts, task=said, chain=() if task is None else task.chain), task
