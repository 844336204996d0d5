"""What stands where an API key would: nothing of ours, a task's token, an access token or a JWT-SVID.

A token adds a task to a caller who is known by more, or (a JWT-SVID) says which workload that caller is.
"""

import base64
import math
from dataclasses import replace
from typing import Final

from remit.errors import AttestationError
from remit.gateway.callers import by_svid
from remit.gateway.message import Request
from remit.identity import Caller, Process, Proof, SpiffeId, access_token, verify_jwt
from remit.policy import Engine, Snapshot
from remit.tasks.token import PREFIX, digest

BEARER: Final = "bearer "
JWT_PARTS: Final = 3
MAX_TOKEN_CHARS: Final = 8192


def presented(request: Request) -> str:
    """What stands where an API key would; empty when nothing does."""
    given = request.header("authorization") or ""
    if given[: len(BEARER)].lower() == BEARER:
        token = given[len(BEARER) :].strip()
    else:
        token = (request.header("x-api-key") or "").strip()
    if len(token) > MAX_TOKEN_CHARS:
        raise AttestationError("the API key is longer than any token")
    return token


def shown(
    token: str, caller: Caller, door: SpiffeId, engine: Engine, *, now: float, latest: float
) -> tuple[Caller, float]:
    """The caller with what its token says, and until when (Unix seconds); raises AttestationError for a bad one."""
    snapshot = engine.snapshot
    if token.startswith(PREFIX):
        return _in_task(token, caller, snapshot, now), math.inf
    if access_token.is_one(token):
        where = door if engine.workload(door) is not None else _meant(token, snapshot, door)
        said = access_token.verify(token, snapshot.jwt_authorities, issuer=snapshot.issuer, audience=where, now=now)
        return _in_task(token, caller, snapshot, now), said.expires
    if not is_spiffe_jwt(token):
        return caller, math.inf
    holder, until = by_jwt(token, door, engine, latest, caller.process)
    if holder.human != caller.human:
        raise AttestationError("the JWT-SVID belongs to another person's workload than this process")
    return replace(holder, exhaustive=caller.exhaustive), until


def by_jwt(
    token: str, door: SpiffeId, engine: Engine, latest: float, process: Process | None = None
) -> tuple[Caller, float]:
    """Whom a JWT-SVID for `door` proves, and until when; raises AttestationError."""
    snapshot = engine.snapshot
    claims = verify_jwt(token, snapshot.jwt_authorities, str(door), latest, trust_domain=snapshot.trust_domain)
    return by_svid(claims.spiffe_id, Proof.JWT_SVID, process, engine), claims.expires


def _meant(token: str, snapshot: Snapshot, door: SpiffeId) -> SpiffeId:
    """The workload of the token's task, at a door that is no workload's: the decision point answers for all."""
    known_as = digest(token)
    return next((task.on for task in snapshot.tasks if task.token_sha256 == known_as), door)


def _in_task(token: str, caller: Caller, snapshot: Snapshot, now: float) -> Caller:
    """The caller with the task of its token: a live one of its own person, in this very caller's hands."""
    known_as = digest(token)
    task = next((one for one in snapshot.tasks if one.token_sha256 == known_as and one.live(now)), None)
    if task is None or task.human != caller.human:
        raise AttestationError(
            "the task of this token has ended or is not this caller's", hint="ask its owner for a new task"
        )
    if not task.held_by(caller.spiffe_id):
        raise AttestationError(
            f"the task of this token was handed to `{task.chain[-1]}`, which this caller is not",
            hint="exchange it for one of your own",
        )
    return replace(caller, task=task.id, chain=task.chain)


def is_spiffe_jwt(token: str) -> bool:
    """Whether it is a JWT about a SPIFFE ID: then it must be good here; any other key is ignored, never sent on."""
    parts = token.split(".")
    if len(parts) != JWT_PARTS:
        return False
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except ValueError:
        return False
    return b'"spiffe://' in claims
