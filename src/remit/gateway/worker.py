"""A gateway worker: one process for one zone, fed by control over its link, serving the sockets it is handed."""

import asyncio
import concurrent.futures
import contextlib
import os
import resource
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.audit import AuditLog, Certificate, DigestKey, WriterKey, shard_name
from remit.credentials import Broker
from remit.detect import Detector, KnownValues
from remit.errors import AuditError, RemitError, StateError
from remit.gateway.answering import Door
from remit.gateway.http1 import Listener, serve
from remit.gateway.limits import Limits
from remit.gateway.unidentified import Unidentified
from remit.gateway.upstream import Upstream
from remit.gateway.upstream_connection import Timeouts
from remit.gateway.zone import Zone
from remit.identity import SpiffeId
from remit.policy import Engine, Snapshot
from remit.redaction import Scrubber
from remit.sandbox.channel import Channel
from remit.secret import Secret

ATTEST_THREADS: Final = 2
SWEEP_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Welcome:
    """What control tells a new worker first. `digest_key` is hex; times are seconds."""

    zone: str
    trust_domain: str
    audit_dir: Path
    cache_dir: Path
    digest_key: str
    limits: Limits
    timeouts: Timeouts

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Welcome":
        return cls(
            row["zone"],
            row["trust_domain"],
            Path(row["audit_dir"]),
            Path(row["cache_dir"]),
            row["digest_key"],
            Limits(**row["limits"]),
            Timeouts(**row["timeouts"]),
        )


class Worker:
    """The running worker. Nothing is served before the first Snapshot is in force."""

    def __init__(self, channel: Channel, welcome: Welcome, audit: AuditLog, scrubber: Scrubber) -> None:
        self._channel, self._welcome, self._audit, self._scrubber = channel, welcome, audit, scrubber
        self._digests = DigestKey(bytes.fromhex(welcome.digest_key))
        self._broker = Broker()
        self._zone: Zone | None = None
        self._servers: list[Listener] = []
        self._unidentified = Unidentified(audit, time.time, time.monotonic)
        self._svid: str | None = None
        self._contexts: list[ssl.SSLContext] = []
        self._stop = asyncio.Event()
        self._log_failure_told = False

    async def run(self) -> int:
        """Serve until control says stop, a signal comes, or the Snapshot's lifetime ends without control.

        The exit status: 1 when the link broke in a way that leaves nobody to listen to control.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        listening = loop.create_task(self._listen())
        listening.add_done_callback(lambda _: self._stop.set())
        sweeping = loop.create_task(self._sweep())
        await self._stop.wait()
        for task in (listening, sweeping):
            task.cancel()
        heard, _ = await asyncio.gather(listening, sweeping, return_exceptions=True)
        await self._drain()
        return 1 if isinstance(heard, Exception) else 0

    async def _listen(self) -> None:
        handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "snapshot": self._on_snapshot,
            "secrets": self._on_secrets,
            "svid": self._on_svid,
            "listen": self._on_listen,
        }
        while (message := await self._channel.receive()) is not None:
            await handlers[message["type"]](message)
        await self._without_control()

    async def _without_control(self) -> None:
        """Control is gone: go on under the Snapshot in force until its lifetime ends."""
        if self._zone is None:
            return
        self._zone.control_gone = True
        snapshot = self._zone.snapshot
        await asyncio.sleep(max(0.0, snapshot.issued + snapshot.lifetime - time.time()))

    async def _on_snapshot(self, message: dict[str, Any]) -> None:
        snapshot = Snapshot.from_dict(message["snapshot"])
        if self._zone is None:
            self._zone = self._open_zone(snapshot)
        elif snapshot.epoch > self._zone.snapshot.epoch:
            self._zone.put(snapshot)
        self._tell({"type": "ack", "epoch": snapshot.epoch})

    def _open_zone(self, snapshot: Snapshot) -> Zone:
        return Zone(
            name=self._welcome.zone,
            engine=Engine(snapshot),
            audit=self._audit,
            digests=self._digests,
            scrubber=self._scrubber,
            broker=self._broker,
            upstream=Upstream(),
            timeouts=self._welcome.timeouts,
            executor=concurrent.futures.ThreadPoolExecutor(ATTEST_THREADS, thread_name_prefix="attest"),
            clock=time.time,
            monotonic=time.monotonic,
            cache_key=os.urandom(32),
            told=self._tell,
        )

    async def _on_secrets(self, message: dict[str, Any]) -> None:
        self._broker.replace({name: Secret(value) for name, value in message["held"].items()})
        self._scrubber.hold(KnownValues(self._broker.values()))

    async def _on_svid(self, message: dict[str, Any]) -> None:
        """Take a new SVID; TLS sockets that are open use it from their next handshake on."""
        self._svid = message["pem"]
        for context in self._contexts:
            _load(context, self._svid)

    async def _on_listen(self, message: dict[str, Any]) -> None:
        [fd] = self._channel.take_fds(1)
        sock = socket.socket(fileno=fd)
        if self._zone is None:
            sock.close()
            raise StateError("a listening socket came before the first snapshot")
        tls = self._tls() if message["kind"] == "tls" else None
        hosts = None if message["kind"] == "unix" else _hosts(sock)
        door = Door(self._zone, SpiffeId.parse(message["workload"]), self._unidentified, hosts)
        self._servers.append(await serve(sock, door, self._welcome.limits, tls))
        self._tell({"type": "serving", "url": message["url"]})

    def _tls(self) -> ssl.SSLContext:
        """Mutual TLS: our X.509-SVID, and clients' verified against the trust domain's authorities."""
        if self._svid is None or self._zone is None:
            raise StateError("a TLS socket came before this gateway's SVID")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        for der in self._zone.snapshot.x509_authorities:
            context.load_verify_locations(cadata=der)
        _load(context, self._svid)
        self._contexts.append(context)
        return context

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._zone is not None:
                self._zone.sweep()
            self._unidentified.flush()
            self._tell_log_failure()

    def _tell_log_failure(self) -> None:
        """Tell control once that nothing can be written any more, and so nothing goes through."""
        failure = self._audit.failure
        if failure is not None and not self._log_failure_told:
            self._log_failure_told = True
            self._tell({"type": "log_failed", "why": str(failure), "hint": failure.hint})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except StateError:
            return  # control is gone; `_listen` sees it and acts

    async def _drain(self) -> None:
        for server in self._servers:
            server.close()  # idle connections end; calls under way get DRAIN_SECONDS
        if self._zone is not None:
            deadline = time.monotonic() + DRAIN_SECONDS
            while self._zone.live and time.monotonic() < deadline:  # noqa: ASYNC110 (once, at the end)
                await asyncio.sleep(0.01)
            for call in tuple(self._zone.live):
                call.cut("this gateway is stopping")
            for server in self._servers:
                server.abort()
            await asyncio.sleep(0)
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
        channel.send({"type": "ready", "pid": os.getpid()})
    except RemitError as error:
        with contextlib.suppress(StateError):  # control is gone already
            channel.send({"type": "failed", "why": str(error)})
        return 1
    status = await worker.run()
    channel.close()
    return status


async def _begin(channel: Channel) -> Worker:
    first = await channel.receive()
    if first is None or first["type"] != "welcome":
        raise StateError("control did not introduce itself")
    welcome = Welcome.from_dict(first)
    audit = await _open_audit(channel, welcome)
    detector = Detector(cache=welcome.cache_dir)
    return Worker(channel, welcome, audit, Scrubber(detector))


async def _open_audit(channel: Channel, welcome: Welcome) -> AuditLog:
    """Open this worker's shard: its key is made here and never leaves; control's root key certifies it."""
    started = time.time()
    shard = shard_name(f"{welcome.zone}-0", started)
    key = WriterKey.fresh(welcome.trust_domain, shard)
    channel.send({"type": "certify", "shard": shard, "public": key.verifier.public.hex(), "started": started})
    reply = await channel.receive()
    if reply is None or reply["type"] != "certificate":
        raise StateError("control did not certify this worker's log")
    certificate = Certificate.from_dict(reply["certificate"])
    return AuditLog.open(welcome.audit_dir, key, certificate, t=time.time(), m=time.monotonic())


def _hosts(sock: socket.socket) -> frozenset[str]:
    """The Host headers that mean this loopback socket."""
    port = sock.getsockname()[1]
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


def _load(context: ssl.SSLContext, pem: str) -> None:
    """Put key and chain into a TLS context, through a file only we can read: ssl takes nothing else."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="remit-") as file:
        file.write(pem.encode())
        file.flush()
        context.load_cert_chain(file.name)
