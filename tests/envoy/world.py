"""Remit's decision point in this process, asked by a real Envoy in front of a server, and the callers of both."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import os
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives import serialization

from remit.audit import AuditLog, DigestKey, RootKey, WriterKey, certify, shard_name
from remit.audit.read import every
from remit.detect import Detector
from remit.gateway.asking import Questions
from remit.gateway.decisions.ext_authz import ExtAuthz
from remit.gateway.unidentified import Unidentified
from remit.gateway.zone import Zone
from remit.identity import Authority, Caller, SpiffeId
from remit.identity.unix_socket import ListeningSocket
from remit.inventory import Human, Kind, Model, Workload
from remit.policy import Engine, PolicyFile, Snapshot, policy_set_digest
from remit.policy.link import Answer, Raise, Reserve
from remit.redaction import Scrubber
from tests.envoy.proxy import Behind, client_context, documented, replaced, running
from tests.interop.peers import envoy
from tests.policy.worlds import KNOWN, TD, sid, workload

OWNERS = """
@id("own") @reason("its owner")
permit(principal, action, resource) when { principal.owner == resource.owner };
"""
SERVER, POINT, BOT = sid("inference", "llama"), sid("pipeline", "envoy"), sid("agent", "bot")
STRANGER = sid("agent", "stranger")
CHAT = {"model": "smol", "messages": [{"role": "user", "content": "hello"}], "cache_prompt": False}
SECRET = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
JSON = {"content-type": "application/json"}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)["error"]
        return said


class Control:
    """Control's side of the link, as far as a decision asks it something: `answers` is what it says to each."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: dict[type, dict[str, Any]] = {Raise: {}, Reserve: {"amount": {"calls": 1}}}
        self.questions = Questions(self._heard)

    def _heard(self, message: Any) -> None:
        self.asked.append(message)
        if (answer := self.answers.get(type(message))) is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self.questions.answered, Answer(message.ask, answer))


@dataclass
class World:
    """`zone` decides; callers reach Envoy at `port`, which asks there before anything reaches `behind`."""

    place: Path
    zone: Zone
    authority: Authority
    behind: Behind
    log: AuditLog
    told: list[Any]
    control: Control
    port: int = 0
    socket: Path = field(init=False)
    epoch: int = 1

    def __post_init__(self) -> None:
        self.socket = self.place / "envoy.sock"

    async def call(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        body: Any = CHAT,
        *,
        by: str | None = "bot",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request to Envoy over TLS, by whoever's SVID."""
        return await asyncio.to_thread(self._call, method, path, body, by, headers)

    def _call(self, method: str, path: str, body: Any, by: str | None, headers: dict[str, str] | None) -> Reply:
        context = client_context(self.place, by) if by else _nobody()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        with contextlib.closing(connection):
            sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, sent, JSON if headers is None else headers)
            reply = connection.getresponse()
            return Reply(reply.status, dict(reply.getheaders()), reply.read())

    def records(self, kind: str = "start") -> list[dict[str, Any]]:
        """What is in the log by now."""
        rows = (record.data for record in every(self.place / "audit"))
        return [row for row in rows if row["kind"] == kind]

    def put(self, **changed: Any) -> None:
        """Another snapshot in force."""
        self.epoch += 1
        self.zone.put(replace(self.zone.snapshot, epoch=self.epoch, **changed))

    def jwt(self, of: SpiffeId = BOT, to: SpiffeId = SERVER) -> str:
        return self.authority.issue_jwt(of, (str(to),), time.time()).token.reveal()


def _nobody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def is_point(caller: Caller) -> bool:
    return caller.spiffe_id == POINT


def workloads() -> tuple[Workload, ...]:
    server = workload(SERVER, owner="ada")
    server = replace(server, models=(Model("smol", KNOWN),))
    point = replace(
        workload(POINT, owner="ada", kind=Kind.PIPELINE),
        selectors=(f"unix:path:{Path(envoy()).resolve()}", f"unix:uid:{os.getuid()}"),
        found="registered",
    )
    others = workload(BOT, owner="ada", kind=Kind.AGENT), workload(STRANGER, owner="bob", kind=Kind.AGENT)
    return server, point, *others


def policies(text: str) -> dict[str, Any]:
    """What a snapshot has of these policies."""
    files = (PolicyFile("p.cedar", text),)
    return {"policy_files": files, "policy_set": policy_set_digest(files)}


def snapshot(authority: Authority) -> Snapshot:
    return Snapshot(
        epoch=1,
        issued=time.time(),
        lifetime=300.0,
        trust_domain=TD,
        grade="C",
        policy_warning="",
        humans=(Human("ada", "p-1", (os.getuid(),)), Human("bob", "p-2", (4242,))),
        workloads=workloads(),
        tasks=(),
        x509_authorities=authority.signing_certificates(),
        jwt_authorities=authority.bundle().jwks(),
        **policies(OWNERS),
    )


@contextlib.asynccontextmanager
async def world(place: Path, *changes: tuple[str, str]) -> AsyncIterator[World]:
    """All of it; `changes` are of the documented configuration, as (text, what stands there instead)."""
    authority, behind = Authority.create(TD, time.time() - 60), Behind()
    told: list[Any] = []
    log = _log(place)
    control = Control()
    zone = _zone(Engine(snapshot(authority)), log, told, control)
    here = World(place, zone, authority, behind, log, told, control)
    for name, one in (("envoy", POINT), ("bot", BOT), ("stranger", STRANGER)):
        issue(place, name, authority, one)
    issue(place, "forged", Authority.create(TD, time.time() - 60), BOT, bundle=False)
    unidentified = Unidentified(log, time.time, time.monotonic)
    server = ExtAuthz(zone, sid(), unidentified, is_point)
    listening = ListeningSocket.bind(here.socket)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(zone.executor.shutdown)
        stack.callback(lambda: log.close(t=time.time(), m=time.monotonic()))
        stack.callback(unidentified.flush)
        stack.callback(listening.remove)
        await server.serve(listening.socket)
        stack.push_async_callback(server.close)
        backend = await asyncio.start_server(behind.answer, "127.0.0.1", 0)
        stack.callback(backend.close)
        behind.port = backend.sockets[0].getsockname()[1]
        text = documented(
            **{
                "/etc/envoy/svid.pem": str(place / "envoy.pem"),
                "/etc/envoy/key.pem": str(place / "envoy.key"),
                "/etc/envoy/bundle.pem": str(place / "bundle.pem"),
                "/run/remit/envoy.sock": str(here.socket),
                "timeout: 5s": "timeout: 30s",
                "spiffe://maple.local/inference/llama-demo": str(SERVER),
                "port_value: 8080": f"port_value: {behind.port}",
            }
        )
        here.port = stack.enter_context(running(place, replaced(text, dict(changes))))
        yield here


def issue(place: Path, name: str, authority: Authority, spiffe_id: SpiffeId, *, bundle: bool = True) -> None:
    svid = authority.issue_x509(spiffe_id, time.time())
    assert svid.key is not None
    (place / f"{name}.pem").write_text("".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain))
    pem = svid.key.reveal().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (place / f"{name}.key").write_bytes(pem)
    if bundle:
        ders = authority.bundle().x509_authorities
        (place / "bundle.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, ders)))


def _log(place: Path) -> AuditLog:
    now = time.time()
    root = RootKey.open(place / "keys" / "audit.key", place / "audit" / "audit.pub", TD)
    shard = shard_name("decisions-0", now)
    key = WriterKey.fresh(TD, shard)
    certificate = certify(root, TD, shard, key.verifier.public, now)
    return AuditLog.open(place / "audit", key, certificate, t=now, m=time.monotonic())


def _zone(engine: Engine, log: AuditLog, told: list[Any], control: Control) -> Zone:
    unused: Any = SimpleNamespace()
    return Zone(
        name="decisions",
        engine=engine,
        audit=log,
        digests=DigestKey(bytes(32)),
        scrubber=Scrubber(Detector()),
        broker=unused,
        upstream=unused,
        timeouts=unused,
        executor=concurrent.futures.ThreadPoolExecutor(2),
        clock=time.time,
        monotonic=time.monotonic,
        cache_key=bytes(32),
        told=told.append,
        questions=control.questions,
    )
