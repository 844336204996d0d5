"""Who is calling: from the connection's peer to a Caller, by the kernel's word or a verified SVID.

Callers, strongest proof first: an X.509-SVID on the connection; a unix socket's credentials; loopback TCP looked up
in the kernel's socket table; a JWT-SVID where an API key would go. A task's token there adds the task to any of them.
"""

import asyncio
import base64
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.x509 import load_der_x509_certificate

from remit.errors import AttestationError
from remit.gateway.attesting import as_it_is, attesting, is_still
from remit.gateway.connection import Connection
from remit.gateway.message import Request
from remit.gateway.zone import Zone
from remit.identity import Caller, Process, Proof, SpiffeId, access_token, verify_jwt, verify_x509
from remit.identity.attestation import Attested, with_task
from remit.inventory import Human, Workload
from remit.policy import Engine, Snapshot
from remit.tasks import Launched
from remit.tasks.token import PREFIX, digest

BEARER: Final = "bearer "
JWT_PARTS: Final = 3
MAX_TOKEN_CHARS: Final = 8192


@dataclass
class Peer:
    """One connection and what is known of who holds it.

    `door` is the guarded workload it came in for, `hosts` the Host headers that mean that door (None: any).
    """

    connection: Connection
    door: SpiffeId
    hosts: frozenset[str] | None
    attesting: asyncio.Future[Attested] | None = None
    svid: SpiffeId | None = None
    svid_until: float = 0.0
    known: tuple[int, str, Caller, float] | None = None
    walked: bool = False
    uid: int | None = field(default=None)

    @property
    def seen_uid(self) -> int | None:
        """Whose process it is, as far as the kernel has said by now."""
        done = self.attesting is not None and self.attesting.done() and not self.attesting.cancelled()
        if self.attesting is None or not done or self.attesting.exception() is not None:
            return self.uid
        return self.attesting.result().uid

    def close(self) -> None:
        """Give up the process's pidfd; the attestation may still be under way."""
        if self.attesting is not None:
            self.attesting.add_done_callback(_close)
            self.attesting.cancel()


def meet(connection: Connection, door: SpiffeId, hosts: frozenset[str] | None, zone: Zone) -> Peer:
    """Begin to find out who is at the other end, off the event loop; TLS was verified against the bundle."""
    peer = Peer(connection, door, hosts)
    if connection.kind == "tls":
        peer.svid, peer.svid_until = _from_certificate(connection, zone)
    else:
        peer.attesting = attesting(connection, zone)
    return peer


async def identify(peer: Peer, request: Request, zone: Zone) -> Caller:
    """The caller of this request; raises AttestationError when it can't be known.

    1. the process behind the connection is still the one that was attested, and its executable's file the same
    2. what it presents in the API key's place: nothing of ours, a task's token, a JWT-SVID
    3. the same connection, token and Snapshot mean the same caller
    4. whoever claims more than a person's least remit has every holder of its socket looked at
    """
    # 1
    attested = None
    if peer.attesting is not None:
        if not is_still(peer.attesting):
            begun = peer.attesting
            peer.attesting = await as_it_is(begun, peer.connection, zone)
            peer.known = peer.known if peer.attesting is begun else None
        attested = peer.attesting.result()
        peer.uid = attested.uid
    # 2
    token = presented(request)
    # 3
    epoch, now = zone.snapshot.epoch, zone.clock()
    if peer.known is not None and peer.known[:2] == (epoch, token) and zone.latest() < peer.known[3]:
        caller = peer.known[2]
    else:
        caller, good_until = _resolve(peer, attested, token, zone, now)
        peer.known = (epoch, token, caller, good_until)
    # 4
    return await every_holder(peer, caller, zone) if caller.enrolled or caller.task is not None else caller


async def every_holder(peer: Peer, caller: Caller, zone: Zone) -> Caller:
    """The same caller, once all that hold its socket were seen; raises AttestationError for a second identity."""
    if caller.exhaustive or peer.attesting is None or peer.known is None:
        return caller
    await asyncio.wrap_future(zone.walks.finish(peer.attesting.result()))
    caller = replace(caller, exhaustive=True)
    peer.known = (*peer.known[:2], caller, peer.known[3])
    return caller


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


def _resolve(peer: Peer, attested: Attested | None, token: str, zone: Zone, now: float) -> tuple[Caller, float]:
    snapshot, latest = zone.snapshot, zone.latest()
    forever = snapshot.issued + 10 * snapshot.lifetime
    if peer.svid is not None:
        if latest >= peer.svid_until:
            raise AttestationError("the X.509-SVID of this connection has expired", hint="connect with a fresh one")
        caller, forever = _by_svid(peer.svid, Proof.MTLS, None, zone.engine), peer.svid_until
    elif attested is not None:
        caller = _by_process(attested, zone.engine, peer, now)
        forever = min((forever, *_launch_ends(caller, snapshot)))
    else:
        raise AttestationError("the connection has no attested peer")
    if token.startswith(PREFIX):
        return _in_task(token, caller, snapshot, now), forever
    if access_token.is_one(token):
        said = access_token.verify(
            token, snapshot.jwt_authorities, issuer=snapshot.issuer, audience=peer.door, now=now
        )
        return _in_task(token, caller, snapshot, now), min(forever, said.expires)
    if _is_spiffe_jwt(token):
        door, domain = str(peer.door), snapshot.trust_domain
        claims = verify_jwt(token, snapshot.jwt_authorities, door, latest, trust_domain=domain)
        holder = _by_svid(claims.spiffe_id, Proof.JWT_SVID, caller.process, zone.engine)
        holder = replace(holder, exhaustive=caller.exhaustive)
        if holder.human != caller.human:
            raise AttestationError("the JWT-SVID belongs to another person's workload than this process")
        return holder, claims.expires
    return caller, forever


def _by_process(attested: Attested, engine: Engine, peer: Peer, now: float) -> Caller:
    process, snapshot = attested.process, engine.snapshot
    proof = Proof.UNIX if peer.connection.kind == "unix" else Proof.LOOPBACK
    if process is not None:
        process = with_task(process, Launched(snapshot.tasks, now))
        workload = engine.workload_of(process)
        if workload is not None:
            return _workload_caller(workload, proof, process, attested.exhaustive, snapshot)
    human = next((known for known in snapshot.humans if attested.uid in known.uids), None)
    if human is None:
        raise AttestationError(
            f"uid {attested.uid} acts for no person known here",
            hint="only people with an account on this machine are known; ask the owner of this Remit",
        )
    return _person_caller(human, proof, process, attested.exhaustive, snapshot)


def _launch_ends(caller: Caller, snapshot: Snapshot) -> tuple[float, ...]:
    """When the task that the caller's process was launched for ends: it may be another caller then."""
    launched_for = caller.process.task if caller.process is not None else None
    return tuple(task.expires for task in snapshot.tasks if task.id == launched_for)


def _by_svid(spiffe_id: SpiffeId, proof: Proof, process: Process | None, engine: Engine) -> Caller:
    snapshot = engine.snapshot
    if (workload := engine.workload(spiffe_id)) is not None:
        return _workload_caller(workload, proof, process, True, snapshot)
    for human in snapshot.humans:
        if spiffe_id == SpiffeId.of(snapshot.trust_domain, "user", human.name):
            return _person_caller(human, proof, process, True, snapshot)
    raise AttestationError(f"`{spiffe_id}` is no identity of this trust domain, or no longer one")


def _workload_caller(
    workload: Workload, proof: Proof, process: Process | None, exhaustive: bool, snapshot: Snapshot
) -> Caller:
    person = next((human.person for human in snapshot.humans if human.name == workload.owner), "")
    return Caller(workload.spiffe_id, workload.owner, person, proof, process, True, exhaustive)


def _person_caller(
    human: Human, proof: Proof, process: Process | None, exhaustive: bool, snapshot: Snapshot
) -> Caller:
    spiffe_id = SpiffeId.of(snapshot.trust_domain, "user", human.name)
    return Caller(spiffe_id, human.name, human.person, proof, process, False, exhaustive)


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


def _is_spiffe_jwt(token: str) -> bool:
    """Whether it is a JWT about a SPIFFE ID: then it must be good here; any other key is ignored, never sent on."""
    parts = token.split(".")
    if len(parts) != JWT_PARTS:
        return False
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except ValueError:
        return False
    return b'"spiffe://' in claims


def _from_certificate(connection: Connection, zone: Zone) -> tuple[SpiffeId, float]:
    """The SPIFFE ID that the client's certificates prove, and until when (Unix seconds): the first to end ends it."""
    chain, snapshot = connection.peer_chain, zone.snapshot
    if not chain:
        raise AttestationError("the TLS connection has no client certificate")
    if not snapshot.x509_authorities:
        raise AttestationError("no X.509-SVID can be verified now", hint="see `remit status`: SPIRE may be silent")
    spiffe_id = verify_x509(chain, snapshot.x509_authorities, zone.latest(), trust_domain=snapshot.trust_domain)
    return spiffe_id, min(load_der_x509_certificate(der).not_valid_after_utc.timestamp() for der in chain)


def _close(task: asyncio.Future[Attested]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
