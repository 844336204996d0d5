"""The zone of decisions in this process, on real sockets and with a real log; a control of its own answers it."""

import asyncio
import concurrent.futures
import contextlib
import functools
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from remit.audit import AuditLog, DigestKey, RootKey, WriterKey, certify, shard_name
from remit.audit.read import every
from remit.detect import Detector
from remit.gateway.asking import Questions
from remit.gateway.decisions.authzen_door import AuthzenDoor
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.http1 import serve
from remit.gateway.limits import Limits
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.identity import SpiffeId
from remit.identity.unix_socket import ListeningSocket
from remit.inventory import Human, Workload
from remit.policy import Engine, PolicyFile, Snapshot, policy_set_digest
from remit.policy.link import Answer, FromWorker, Raise, Reserve
from remit.redaction import Scrubber
from remit.tasks import Task
from tests.policy.worlds import TD, sid

ME = sid("user", "ada")
ITSELF = sid("remit", "gateway", "decisions")
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"


class OverUnix(http.client.HTTPConnection):
    """A client on a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class World:
    """`told` is what the zone says to control; `answers` what that says to its questions."""

    place: Path
    zone: Zone
    decisions: Decisions
    loop: asyncio.AbstractEventLoop
    told: list[Any] = field(default_factory=list)
    answers: dict[type, Callable[[Any], dict[str, Any]]] = field(default_factory=dict)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """One request over the unix socket, by this very process; `body` may be bytes."""
        return self.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = OverUnix(self.place / "d.sock")
        with contextlib.closing(connection):
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, {"content-type": "application/json", **named})
            reply = connection.getresponse()
            said = reply.read()
            return Reply(reply.status, dict(reply.getheaders()), json.loads(said) if said else None)

    def decision(self, body: Any, **headers: str) -> bool:
        reply = self.post(EVALUATION, body, **headers)
        assert reply.status == 200, reply.body
        decided: bool = reply.body["decision"]
        return decided

    def put(self, **changed: Any) -> None:
        """Another snapshot in force."""
        snapshot = replace(self.zone.snapshot, epoch=self.zone.snapshot.epoch + 1, **changed)

        async def put() -> None:
            self.zone.put(snapshot)

        asyncio.run_coroutine_threadsafe(put(), self.loop).result(10)

    def records(self, kind: str = "start") -> list[dict[str, Any]]:
        """What is in the log by now."""
        rows = (record.data for record in every(self.place / "audit"))
        return [row for row in rows if row["kind"] == kind]

    def hears(self, message: FromWorker) -> None:
        """Control's side of the link."""
        self.told.append(message)
        if isinstance(message, Raise | Reserve) or type(message) in self.answers:
            said = self.answers.get(type(message), lambda _: {})(message)
            self.loop.call_soon(self.zone.questions.answered, Answer(message.ask, said))  # type: ignore[union-attr]


def files(**texts: str) -> dict[str, Any]:
    """What a snapshot has of these policy files: `name_ext` is `name.ext`."""
    found = tuple(PolicyFile(".".join(name.rsplit("_", 1)), text) for name, text in texts.items())
    return {"policy_files": found, "policy_set": policy_set_digest(found)}


def snapshot(
    *, tasks: Sequence[Task] = (), workloads: Sequence[Workload] = (), humans: Sequence[Human] = (), **texts: str
) -> Snapshot:
    return Snapshot(
        epoch=1,
        issued=time.time(),
        lifetime=300.0,
        trust_domain=TD,
        grade="C",
        policy_warning="",
        humans=(Human("ada", "p-1", (os.getuid(),)), *humans),
        workloads=tuple(workloads),
        tasks=tuple(tasks),
        x509_authorities=(),
        jwt_authorities={"keys": []},
        **files(**texts),
    )


@contextlib.contextmanager
def world(place: Path, shot: Snapshot, points: Sequence[SpiffeId] = (ME,)) -> Iterator[World]:
    """The zone served at a unix socket, by an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    log = _log(place)
    here: list[World] = []
    zone = _zone(Engine(shot), log, lambda message: here[0].hears(message))  # noqa: PLW0108 (there is none yet)
    opened = asyncio.run_coroutine_threadsafe(_open(place, zone, log, frozenset(points)), loop).result(10)
    decisions, listener, file = opened
    here.append(World(place, zone, decisions, loop))
    try:
        yield here[0]
    finally:
        loop.call_soon_threadsafe(listener.abort)
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(listener.wait_closed(), 5), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        file.remove()
        zone.executor.shutdown()
        log.close(t=time.time(), m=time.monotonic())


async def _open(place: Path, zone: Zone, log: AuditLog, points: frozenset[SpiffeId]) -> Any:
    decisions = Decisions(zone, points)
    door = AuthzenDoor(decisions, ITSELF, "", Unidentified(log, time.time, time.monotonic), None)
    file = ListeningSocket.bind(place / "d.sock")
    return decisions, await serve(file.socket, door, Limits()), file


def _log(place: Path) -> AuditLog:
    now = time.time()
    root = RootKey.open(place / "keys" / "audit.key", place / "audit" / "audit.pub", TD)
    shard = shard_name("decisions-0", now)
    key = WriterKey.fresh(TD, shard)
    return AuditLog.open(
        place / "audit", key, certify(root, TD, shard, key.verifier.public, now), t=now, m=time.monotonic()
    )


@functools.cache
def _detector() -> Detector:
    """Compiled once: 1.5 s."""
    return Detector()


def _zone(engine: Engine, log: AuditLog, told: Callable[[Any], None]) -> Zone:
    unused: Any = SimpleNamespace()
    return Zone(
        name="decisions",
        engine=engine,
        audit=log,
        digests=DigestKey(bytes(32)),
        scrubber=Scrubber(_detector()),
        broker=unused,
        upstream=unused,
        timeouts=unused,
        executor=concurrent.futures.ThreadPoolExecutor(2),
        clock=time.time,
        monotonic=time.monotonic,
        cache_key=bytes(32),
        told=told,
        questions=Questions(told),
    )
