"""A gateway worker: one process for one zone, fed by control over its link, serving the sockets it is handed."""

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import resource
import signal
import socket
import time
from typing import Final

from remit.audit import AuditLog, Certificate, DigestKey, WriterKey, shard_name
from remit.config import GatewaySettings
from remit.credentials import Broker
from remit.detect import Detector, KnownValues
from remit.errors import AuditError, ProtocolError, RemitError, StateError
from remit.gateway.asking import Questions
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.doors import Doors
from remit.gateway.under_way import cut_lost
from remit.gateway.unidentified import Unidentified
from remit.gateway.upstream import Upstream
from remit.gateway.upstream_connection import Timeouts
from remit.gateway.zone import Zone
from remit.identity.attestation.through import take_eyes
from remit.policy import Engine, Snapshot
from remit.policy.changes import Changes
from remit.policy.link import (
    Ack,
    Answer,
    Certified,
    Certify,
    Eyes,
    Failed,
    FromWorker,
    InForce,
    Listen,
    LogFailed,
    Ready,
    Said,
    Secrets,
    Serving,
    Svid,
    Welcome,
    name_of,
)
from remit.redaction import Scrubber
from remit.sandbox.channel import Channel
from remit.sandbox.hidden_files import take_sight

ATTEST_THREADS: Final = 2
SWEEP_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 2.0
CUT_SECONDS: Final = 0.5  # a call that was cut ends within a few turns of the loop


class Worker:
    """The running worker. Nothing is served before the first Snapshot is in force."""

    def __init__(self, channel: Channel, welcome: Welcome, audit: AuditLog, scrubber: Scrubber) -> None:
        self._channel, self._welcome, self._audit, self._scrubber = channel, welcome, audit, scrubber
        self._digests = DigestKey(bytes.fromhex(welcome.digest_key.reveal()))
        self._broker = Broker()
        self._zone: Zone | None = None
        self._unidentified = Unidentified(audit, time.time, time.monotonic)
        self._doors = Doors(welcome.settings, self._unidentified)
        self._stop = asyncio.Event()
        self._log_failure_told = False
        self._questions = Questions(self._tell)
        self._deciding: Decisions | None = None

    async def run(self) -> int:
        """Serve until control says stop, a signal comes, or the Snapshot's lifetime ends without control.

        The exit status: 1 when the link broke in a way that leaves nobody to listen to control.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        listening = loop.create_task(self._listen())
        listening.add_done_callback(lambda _: self._stop.set())
        beside = [loop.create_task(self._sweep()), loop.create_task(self._mind_models())]
        await self._stop.wait()
        for task in (listening, *beside):
            task.cancel()
        heard, *_ = await asyncio.gather(listening, *beside, return_exceptions=True)
        await self._drain()
        return 1 if isinstance(heard, Exception) else 0

    async def _listen(self) -> None:
        """Do what control says. Raises for what it would never say: this worker ends then."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case InForce(snapshot):
                    self._put(snapshot)
                case Changes():
                    self._put(message.onto(self._snapshot()))
                case Secrets(held):
                    self._broker.replace(held)
                    self._scrubber.hold(KnownValues(self._broker.values()))
                case Svid(pem):
                    self._doors.take_svid(pem)
                case Listen():
                    await self._open(message)
                case Answer():
                    self._questions.answered(message)
                case Said(task, text) if self._zone is not None:
                    await self._decisions(self._zone).said(task, text)
                case Eyes(lines):
                    *others, last = self._channel.take_fds(lines)
                    take_eyes(others)
                    take_sight(last)
                case _:
                    raise ProtocolError(f"control does not send `{name_of(message)}` here")
        await self._without_control()

    async def _without_control(self) -> None:
        """Control is gone: go on under the Snapshot in force until its lifetime ends."""
        self._questions.control_gone()
        if self._zone is None:
            return
        self._zone.without_control()
        snapshot = self._zone.snapshot
        await asyncio.sleep(max(0.0, snapshot.issued + snapshot.lifetime - time.time()))

    def _put(self, snapshot: Snapshot) -> None:
        if self._zone is None:
            self._zone = self._open_zone(snapshot)
        elif snapshot.epoch > self._zone.snapshot.epoch:
            self._trust(snapshot)
            self._zone.put(snapshot)
        self._tell(Ack(snapshot.epoch))

    def _snapshot(self) -> Snapshot:
        if self._zone is None:
            raise ProtocolError("changes came before the first snapshot")
        return self._zone.snapshot

    def _open_zone(self, snapshot: Snapshot) -> Zone:
        return Zone(
            name=self._welcome.zone,
            engine=Engine(snapshot),
            audit=self._audit,
            digests=self._digests,
            scrubber=self._scrubber,
            broker=self._broker,
            upstream=Upstream(),
            timeouts=_timeouts(self._welcome.settings),
            executor=concurrent.futures.ThreadPoolExecutor(ATTEST_THREADS, thread_name_prefix="attest"),
            clock=time.time,
            monotonic=time.monotonic,
            cache_key=os.urandom(32),
            told=self._tell,
            questions=self._questions,
        )

    def _trust(self, snapshot: Snapshot) -> None:
        """Before calls are decided by it: TLS takes the authorities that it brings."""
        known = set(self._zone.snapshot.x509_authorities) if self._zone is not None else set()
        self._doors.trust([der for der in snapshot.x509_authorities if der not in known])

    async def _open(self, door: Listen) -> None:
        [fd] = self._channel.take_fds(1)
        sock = socket.socket(fileno=fd)
        if self._zone is None:
            sock.close()
            raise StateError("a listening socket came before the first snapshot")
        zone = self._zone
        await self._doors.open(door, sock, zone, lambda: self._decisions(zone))
        self._tell(Serving(door.url))

    def _decisions(self, zone: Zone) -> Decisions:
        """What decides for other enforcement points, one for all doors of this zone."""
        if self._deciding is None:
            self._deciding = Decisions(zone, frozenset(self._welcome.points))
        return self._deciding

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._zone is not None:
                self._zone.sweep()
                self._zone.not_enforced.tell(self._tell)
            if self._deciding is not None:
                self._deciding.sweep()
            self._unidentified.flush()
            self._tell_log_failure()

    async def _mind_models(self) -> None:
        """Beside the sweep: a disk that does not answer must not keep ended tasks going."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._zone is not None:
                await cut_lost(self._zone)

    def _tell_log_failure(self) -> None:
        """Tell control once that nothing can be written any more, and so nothing goes through."""
        failure = self._audit.failure
        if failure is not None and not self._log_failure_told:
            self._log_failure_told = True
            self._tell(LogFailed(str(failure), failure.hint))

    def _tell(self, message: FromWorker) -> None:
        try:
            self._channel.send(message)
        except StateError:
            return  # control is gone; `_listen` sees it and acts

    async def _drain(self) -> None:
        await self._doors.begin_to_close()  # calls under way get DRAIN_SECONDS
        if self._zone is not None:
            await _ended(self._zone, DRAIN_SECONDS)
            for call in tuple(self._zone.live):
                call.cut(StateError("this gateway is stopping", hint="try again once it runs"))
            self._doors.abort()
            await _ended(self._zone, CUT_SECONDS)  # each notes its end while the log takes it
            await self._zone.upstream.aclose()
            self._zone.executor.shutdown(wait=False, cancel_futures=True)
        self._unidentified.flush()
        with contextlib.suppress(AuditError):  # control was told when it happened
            self._audit.close(t=time.time(), m=time.monotonic())


async def run(link: socket.socket) -> int:
    """The worker's life, from its link to its end; the exit status."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each caller may need a connection upstream as well
    channel = Channel(link)
    try:
        worker = await _begin(channel)
        _spare_collector()
        channel.send(Ready())
    except RemitError as error:
        with contextlib.suppress(StateError):  # control is gone already
            channel.send(Failed(str(error)))
        return 1
    status = await worker.run()
    channel.close()
    return status


def _spare_collector() -> None:
    """Leave what lives as long as the worker out of collections, and collect less often: calls leave few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


async def _begin(channel: Channel) -> Worker:
    first = await channel.receive()
    if not isinstance(first, Welcome):
        raise StateError("control did not introduce itself")
    audit = await _open_audit(channel, first)
    detector = Detector(cache=first.cache_dir)
    return Worker(channel, first, audit, Scrubber(detector))


async def _open_audit(channel: Channel, welcome: Welcome) -> AuditLog:
    """Open this worker's shard: its key is made here and never leaves; control's root key certifies it."""
    started = time.time()
    shard = shard_name(f"{welcome.zone}-0", started)
    key = WriterKey.fresh(welcome.trust_domain, shard)
    channel.send(Certify(shard, key.verifier.public, started))
    reply = await channel.receive()
    if not isinstance(reply, Certified):
        raise StateError("control did not certify this worker's log")
    certificate = Certificate.from_dict(reply.certificate)
    return AuditLog.open(welcome.audit_dir, key, certificate, t=time.time(), m=time.monotonic())


async def _ended(zone: Zone, seconds: float) -> None:
    """Wait until no call is under way, and no longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while zone.live and time.monotonic() < deadline:  # noqa: ASYNC110 (at the end of the worker's life)
        await asyncio.sleep(0.01)


def _timeouts(settings: GatewaySettings) -> Timeouts:
    return Timeouts(first_byte=settings.first_byte_seconds, idle=settings.chunk_seconds)
