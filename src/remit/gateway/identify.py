"""Who is calling: from the connection's peer to a Caller, by the kernel's word or a verified SVID.

Callers, strongest proof first: an X.509-SVID on the connection; a unix socket's credentials; loopback TCP looked up
in the kernel's socket table; a JWT-SVID where an API key would go. A task's token there adds the task to any of them.
"""

import asyncio
from dataclasses import dataclass, field, replace

from cryptography.x509 import load_der_x509_certificate

from remit.errors import AttestationError
from remit.gateway.attesting import as_it_is, attesting, is_still
from remit.gateway.callers import by_process, by_svid
from remit.gateway.connection import Connection
from remit.gateway.message import Request
from remit.gateway.presented import presented, shown
from remit.gateway.zone import Zone
from remit.identity import Caller, Proof, SpiffeId, verify_x509
from remit.identity.attestation import Attested
from remit.policy import Snapshot


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


def _resolve(peer: Peer, attested: Attested | None, token: str, zone: Zone, now: float) -> tuple[Caller, float]:
    snapshot, latest = zone.snapshot, zone.latest()
    forever = snapshot.issued + 10 * snapshot.lifetime
    if peer.svid is not None:
        if latest >= peer.svid_until:
            raise AttestationError("the X.509-SVID of this connection has expired", hint="connect with a fresh one")
        caller, forever = by_svid(peer.svid, Proof.MTLS, None, zone.engine), peer.svid_until
    elif attested is not None:
        caller = by_process(attested, _seen_by(peer), zone.engine, now)
        forever = min((forever, *_launch_ends(caller, snapshot)))
    else:
        raise AttestationError("the connection has no attested peer")
    caller, until = shown(token, caller, peer.door, zone.engine, now=now, latest=latest)
    return caller, min(forever, until)


def _seen_by(peer: Peer) -> Proof:
    return Proof.UNIX if peer.connection.kind == "unix" else Proof.LOOPBACK


def _launch_ends(caller: Caller, snapshot: Snapshot) -> tuple[float, ...]:
    """When the task that the caller's process was launched for ends: it may be another caller then."""
    launched_for = caller.process.task if caller.process is not None else None
    return tuple(task.expires for task in snapshot.tasks if task.id == launched_for)


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
