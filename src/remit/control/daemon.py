"""The control process: finds, enrols and guards model servers, keeps the gateways fed, and ends cleanly."""

import asyncio
import contextlib
import dataclasses
import os
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from remit import __version__
from remit.audit import Act, AuditLog, DigestKey, RootKey, WriterKey, certify, shard_name
from remit.config import Places, Settings
from remit.control import api as control_api
from remit.control import policy_watch
from remit.control.desk import Deployment, Desk, Doors
from remit.control.doors import Door, close_doors, open_doors
from remit.control.identities import KernelIdentities, RecordedIssuances
from remit.control.instance import write_run_file
from remit.control.lately import lately
from remit.control.owner import Owner
from remit.control.realm import PoliciesInForce, Realm, State, Trust
from remit.control.workers import Worker, Workers
from remit.errors import ModelError
from remit.identity import Authority, Process, SpiffeId, WorkloadApi, X509Svid
from remit.identity.attestation import EXECUTABLES, listeners, observe
from remit.identity.person import terminal_proof
from remit.inventory import DIGEST_HASHING, Discovered, Exclusion, Found, Kind, Model, Probe, Workload
from remit.inventory.discovery import discover, look_at
from remit.inventory.enrolment import CAPABILITIES, again, enrol
from remit.models import Hasher
from remit.policy import Snapshot
from remit.sandbox.launch import DemoServer
from remit.secret import Secret

ZONE: Final = "inference"
GRADE: Final = "C"
GRADE_WHY: Final = (
    "because Remit runs as you: a hostile process of yours could stop it, read its key or edit its policy"
)
RAISES: Final = "B when Remit runs as its own user (system mode; see docs/threat-model.md)"
DEMO_NAME: Final = "llama-demo"
DEMO_CREDENTIAL: Final = "demo-api-key"
RESCAN_SECONDS: Final = 15.0
SVID_SECONDS: Final = 1800.0  # half of an X.509-SVID's hour
MAX_DEMO_RESTARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Tools:
    """What `app` gives the daemon from rooms that control may not enter. `worker` is the module of a gateway."""

    state: State
    probe: Probe
    worker: str
    limits: dict[str, Any]
    timeouts: dict[str, Any]


class Daemon:
    """One instance's control. `say` takes the events that `remit up` shows."""

    def __init__(
        self,
        places: Places,
        settings: Settings,
        owner: Owner,
        *,
        tools: Tools,
        trust_domain: str,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._places, self._settings, self._owner, self._tools, self._say = places, settings, owner, tools, say
        self._domain = trust_domain
        self._stop = asyncio.Event()
        self._why = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._doors: dict[SpiffeId, list[Door]] = {}
        self._urls: dict[str, dict[str, str]] = {}
        self._demo: DemoServer | None = None
        self._workers = Workers(tools.worker, self._welcome, self._heard, self._died)
        self._loop = asyncio.get_running_loop()
        self._realm: Realm

    def request_stop(self, why: str) -> None:
        self._why = self._why or why
        self._stop.set()

    async def run(self) -> None:
        """Start in order, stay until told to stop, end in the opposite order.

        1. the log, so that everything after it is recorded
        2. policies and realm: without a policy nothing starts
        3. the gateway, while the host is searched for model servers
        4. a demonstration server if there is none
        5. enrolment: identity, owner, doors
        6. the APIs
        """
        async with contextlib.AsyncExitStack() as stack:
            # 1
            await self._open_log(stack)
            # 2
            policies = policy_watch.first(self._places.policies)
            authority = self._authority()
            self._realm = self._open_realm(authority, policies)
            self._owner.human = self._realm.meet(self._owner.name, self._owner.uids)
            self._say(self._starting())
            # 3
            self._hasher = stack.enter_context(Hasher())
            gateway = asyncio.create_task(self._start_gateway(stack, authority))
            found = await self._discover()
            await gateway
            # 4
            if not found.found and not self._realm.workloads:
                await self._start_demo(stack)
            # 5
            for one in found.found:
                await self._enrol(one)
            await self._deliver(self._realm.snapshot())
            # 6
            desk = await self._serve(stack, authority)
            await self._ready(stack, desk)
            self._watch_over(stack, policies, authority)
            await self._stop.wait()
            self._say({"event": "stopping", "why": self._why})
            await self._act("stopping", "control", None, {"why": self._why})

    # -- 1: the log

    async def _open_log(self, stack: contextlib.AsyncExitStack) -> None:
        places = self._places
        self._root = RootKey.open(places.state / "audit.key", places.audit / "audit.pub", self._domain)
        self._digest_key_file = places.state / "digest.key"
        DigestKey.open(self._digest_key_file)
        started = time.time()
        shard = shard_name("control", started)
        key = WriterKey.fresh(self._domain, shard)
        certificate = certify(self._root, self._domain, shard, key.verifier.public, started)
        self._log = AuditLog.open(places.audit, key, certificate, t=started, m=time.monotonic())
        stack.callback(lambda: self._log.close(t=time.time(), m=time.monotonic()))
        await self._act("started", "control", None, {"version": __version__, "grade": GRADE})

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        await self._log.record(Act(what, subject, person, time.time(), time.monotonic(), facts), b"")

    # -- 2: what is in force

    def _authority(self) -> Authority:
        path = self._places.state / "keys" / "authority.json"
        if path.exists():
            return Authority.load(path)
        authority = Authority.create(self._domain, time.time())
        authority.save(path)
        return authority

    def _open_realm(self, authority: Authority, policies: PoliciesInForce) -> Realm:
        bundle = authority.bundle()
        trust = Trust(self._domain, bundle.x509_authorities, bundle.to_dict())
        realm = Realm(
            trust,
            self._tools.state,
            self._act,
            time.time,
            policies,
            lifetime=self._settings.snapshot_seconds,
            grade=GRADE,
        )
        for human in self._owner.others():
            realm.meet(human.name, human.uids)
        return realm

    # -- 3: the gateway

    async def _start_gateway(self, stack: contextlib.AsyncExitStack, authority: Authority) -> None:
        stack.push_async_callback(self._workers.stop)
        self._workers.push(self._realm.snapshot())
        self._give_svid(authority)
        await self._workers.start(ZONE)

    def _welcome(self, zone: str) -> dict[str, Any]:
        return {
            "type": "welcome",
            "zone": zone,
            "trust_domain": self._domain,
            "audit_dir": str(self._places.audit),
            "cache_dir": str(self._places.state / "cache"),
            "digest_key": self._digest_key_file.read_bytes().hex(),
            "limits": self._tools.limits,
            "timeouts": self._tools.timeouts,
        }

    def _give_svid(self, authority: Authority) -> None:
        spiffe_id = SpiffeId.of(self._domain, "remit", "gateway", ZONE)
        svid = authority.issue_x509(spiffe_id, time.time())
        self._workers.tell({"type": "svid", "pem": _pem(svid)})

    async def _heard(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["type"]:
            case "certify":
                public = bytes.fromhex(message["public"])
                certificate = certify(self._root, self._domain, message["shard"], public, message["started"])
                worker.child.channel.send({"type": "certificate", "certificate": certificate.to_dict()})
                await self._act("writer.certified", message["shard"], None, {"pid": worker.child.pid})
            case "refused":
                self._tell_owner(message)

    def _tell_owner(self, message: dict[str, Any]) -> None:
        """Show a refusal in the owner's terminal, with the way to allow it: never to the caller (invariant 6)."""
        workload = self._realm.workloads.get(SpiffeId.parse(message["workload"]))
        event = {"event": "refused", "decision": message["decision"], "message": message["message"]}
        if workload is not None and message["rule"] == "default-deny":
            event["allow"] = f"remit task start {workload.name} --allow {message['action']} --for 15m"
        self._say(event)

    async def _died(self, worker: Worker, status: int) -> None:
        self._say({"event": "note", "text": f"the {worker.zone} gateway died (status {status}); starting another"})
        await self._act("worker.died", worker.zone, None, {"pid": worker.child.pid, "status": status})

    async def _deliver(self, snapshot: Snapshot) -> bool:
        self._workers.push(snapshot)
        return await self._workers.settled(snapshot.epoch)

    # -- 4 and 5: who is guarded

    async def _discover(self) -> Discovered:
        settings = self._settings.discovery
        found = await discover(self._tools.probe, exclude=self._own()) if settings.look else Discovered((), ())
        named = [await look_at(self._tools.probe, address) for address in settings.servers]
        ignored = set(settings.ignore)
        servers = [one for one in (*found.found, *named) if one is not None and one.upstream not in ignored]
        return Discovered(tuple({one.upstream: one for one in servers}.values()), found.unread)

    def _own(self) -> Exclusion:
        doors = [door for doors in self._doors.values() for door in doors]
        pids = {os.getpid(), *(worker.child.pid for worker in self._workers.live.values())}
        if self._demo is not None:
            pids.add(self._demo.pid)
        return Exclusion(
            frozenset(pids),
            frozenset(door.sock.getsockname()[1] for door in doors if door.kind != "unix"),
            frozenset(
                [str(self._places.api_socket), str(self._places.workload_api_socket)]
                + [door.url for door in doors if door.kind == "unix"]
                + ([str(self._demo.socket_path)] if self._demo is not None else [])
            ),
        )

    async def _start_demo(self, stack: contextlib.AsyncExitStack) -> None:
        """Remit's own demonstration server: a private socket, a random key that only Remit holds."""
        self._say({"event": "note", "text": "no model server answers here: starting a demonstration model (SmolLM2)"})
        key = "remit_key_" + secrets.token_hex(32)
        await self._act("credential.issued", DEMO_CREDENTIAL, None, {"for": DEMO_NAME})
        self._demo = await DemoServer.start(self._places.run / "demo" / "model.sock", Secret(key))
        self._workers.tell({"type": "secrets", "held": {DEMO_CREDENTIAL: key}})
        workload = self._demo_workload(self._demo)
        await self._guard(workload)
        self._hash(workload.spiffe_id, workload.models[0].name, str(self._demo.model.path))

    def _demo_workload(self, demo: DemoServer) -> Workload:
        process = observe(demo.pid, digests=EXECUTABLES)
        return Workload(
            spiffe_id=SpiffeId.of(self._domain, "inference", DEMO_NAME),
            name=DEMO_NAME,
            kind=Kind.MODEL_SERVER,
            owner=self._owner.name,
            server="llama.cpp",
            upstream=demo.upstream,
            reach="private",
            capabilities=CAPABILITIES,
            models=(Model(demo.model.name, DIGEST_HASHING, str(demo.model.path)),),
            environment=self._settings.environment,
            selectors=_selectors(process),
            pid=demo.pid,
            uid=process.uid,
            exe=process.exe,
            exe_sha256=process.exe_sha256,
            credential=DEMO_CREDENTIAL,
            demonstration=True,
            found="demonstration",
            enrolled_at=time.time(),
        )

    async def _enrol(self, found: Found) -> None:
        """Give a found server its identity: the one it had before, when it was known under this address."""
        known = next((one for one in self._realm.known_workloads.values() if one.upstream == found.upstream), None)
        now = time.time()
        if known is not None and known.server == found.server:
            workload = dataclasses.replace(again(known, found, now), owner=self._owner.name)
        else:
            workload = enrol(
                found,
                owner=self._owner.name,
                trust_domain=self._domain,
                environment=self._settings.environment,
                taken={one.name for one in self._realm.known_workloads.values()},
                now=now,
            )
        self._say(_found_event(found, workload))
        await self._guard(workload)
        for name, file in found.weights:
            self._hash(workload.spiffe_id, name, file.reading, file.node)

    async def _guard(self, workload: Workload) -> None:
        await self._realm.enrol(workload)
        self._realm.known_workloads[workload.spiffe_id] = workload
        await self._deliver(self._realm.snapshot())
        if workload.spiffe_id in self._doors:
            return
        gateway = self._settings.gateway
        first = gateway.port + len(self._doors)
        doors, urls = open_doors(workload, gateway.address, first, self._places.run)
        self._doors[workload.spiffe_id] = doors
        self._urls[workload.name] = urls
        for door in doors:
            self._workers.listen(door)

    def _hash(self, spiffe_id: SpiffeId, model: str, path: str, node: tuple[int, int] | None = None) -> None:
        """Hash a model's weights in the background; until then its digest is `unknown (hashing)`."""

        def done(digest: str) -> None:
            self._loop.call_soon_threadsafe(self._spawn, self._digest_known(spiffe_id, model, digest))

        def failed(error: ModelError) -> None:
            text = f"the digest of `{model}` can't be had: {error}"
            self._loop.call_soon_threadsafe(self._say, {"event": "note", "text": text})

        self._hasher.submit(path, done, failed, node=node)

    async def _digest_known(self, spiffe_id: SpiffeId, model: str, digest: str) -> None:
        await self._realm.digest_known(spiffe_id, model, digest)
        await self._deliver(self._realm.snapshot())
        self._say({"event": "digest", "spiffe_id": str(spiffe_id), "model": model, "digest": digest})

    # -- 6: the APIs

    async def _serve(self, stack: contextlib.AsyncExitStack, authority: Authority) -> Desk:
        def looked_at(pid: int) -> Process:
            return observe(pid, digests=EXECUTABLES)

        desk = Desk(
            realm=self._realm,
            deployment=self._deployment(),
            observe=looked_at,
            terminal_proof=terminal_proof,
            deliver=self._deliver,
            lately=lambda now: lately(self._places.audit, now),
            ports=_pids_on,
            workers=lambda: {zone: worker.child.pid for zone, worker in self._workers.live.items()},
            request_stop=self.request_stop,
        )
        desk.doors = Doors(self._urls)
        self._workload_api = WorkloadApi(
            authority,
            KernelIdentities(self._realm, looked_at),
            RecordedIssuances(self._realm, self._act),
            time.time,
        )
        await self._workload_api.serve(self._places.workload_api_socket)
        stack.push_async_callback(self._workload_api.close)
        path = self._places.api_socket
        path.unlink(missing_ok=True)
        close = await control_api.serve(control_api.build(desk), control_api.bind(str(path)))
        stack.push_async_callback(close)
        return desk

    def _deployment(self) -> Deployment:
        places = self._places
        return Deployment(
            version=__version__,
            pid=os.getpid(),
            started=time.time(),
            owner=self._owner.name,
            uid=os.getuid(),
            grade=GRADE,
            grade_why=GRADE_WHY,
            raises=RAISES,
            state=str(places.state),
            policies=str(places.policies),
            audit_dir=str(places.audit),
            audit_key=str(places.audit / "audit.pub"),
            workload_api=str(places.workload_api_socket),
            api=str(places.api_socket),
        )

    def _starting(self) -> dict[str, Any]:
        return {
            "event": "starting",
            "version": __version__,
            "trust_domain": self._domain,
            "owner": self._owner.name,
            "uid": os.getuid(),
            "grade": GRADE,
        }

    async def _ready(self, stack: contextlib.AsyncExitStack, desk: Desk) -> None:
        status = desk.status()
        urls = [server["base_url"] for server in status["guarded"] if "base_url" in server]
        write_run_file(self._places.run_file, {"pid": os.getpid(), "urls": urls, "api": status["api"]})
        stack.callback(self._places.run_file.unlink, missing_ok=True)
        self._say({"event": "ready", **status})

    # -- while it runs

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            hint = getattr(error, "hint", "")
            self._say({"event": "error", "message": str(error) or repr(error), "hint": hint})
            self.request_stop(f"a failure: {error}")

    def _watch_over(self, stack: contextlib.AsyncExitStack, policies: PoliciesInForce, authority: Authority) -> None:
        stack.push_async_callback(self._end_tasks)
        self._spawn(policy_watch.watch(self._places.policies, policies, self._policies_changed))
        self._spawn(self._renew())
        self._spawn(self._renew_svid(authority))
        if self._demo is not None:
            self._spawn(self._mind_demo())
        if self._settings.discovery.look:
            self._spawn(self._rescan())

    async def _end_tasks(self) -> None:
        close_all = [door for doors in self._doors.values() for door in doors]
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._demo is not None:
            await self._act("credential.revoked", DEMO_CREDENTIAL, None, {"for": DEMO_NAME})
            await self._demo.stop()
        close_doors(close_all)

    async def _policies_changed(self, policies: PoliciesInForce) -> None:
        await self._realm.put_policies(policies)
        await self._deliver(self._realm.snapshot())
        self._say({"event": "policy", "set": policies.digest, "warning": policies.warning})

    async def _renew(self) -> None:
        """A Snapshot lives for its lifetime only: give the workers a fresh one well before."""
        while True:
            await asyncio.sleep(self._settings.snapshot_seconds / 3)
            await self._deliver(self._realm.snapshot())

    async def _renew_svid(self, authority: Authority) -> None:
        while True:
            await asyncio.sleep(SVID_SECONDS)
            self._give_svid(authority)

    async def _mind_demo(self) -> None:
        """Start the demonstration server again when it dies; its key is then a new one."""
        demo = self._demo
        for _ in range(MAX_DEMO_RESTARTS):
            if demo is None:
                return
            code = await demo.wait()
            self._say({"event": "note", "text": f"the demonstration model ended (code {code}); starting it again"})
            await self._act("credential.revoked", DEMO_CREDENTIAL, None, {"for": DEMO_NAME})
            key = "remit_key_" + secrets.token_hex(32)
            await self._act("credential.issued", DEMO_CREDENTIAL, None, {"for": DEMO_NAME})
            demo = self._demo = await DemoServer.start(demo.socket_path, Secret(key))
            self._workers.tell({"type": "secrets", "held": {DEMO_CREDENTIAL: key}})
            await self._guard(self._demo_workload(demo))
            self._hash(SpiffeId.of(self._domain, "inference", DEMO_NAME), demo.model.name, str(demo.model.path))

    async def _rescan(self) -> None:
        """Look again now and then: a server that started later is guarded too, one that is gone is let go."""
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            found = await self._discover()
            there = {one.upstream for one in found.found}
            guarded = {one.upstream: one for one in self._realm.workloads.values()}
            for one in found.found:
                known = guarded.get(one.upstream)
                if known is None or known.pid != (one.pids[0] if one.pids else None):
                    await self._enrol(one)
            for workload in list(self._realm.workloads.values()):
                if workload.found == "discovered" and workload.upstream not in there:
                    await self._realm.leave(workload, "its server no longer answers")
                    self._say({"event": "note", "text": f"{workload.name} no longer answers: not guarded any more"})
                    await self._deliver(self._realm.snapshot())


def _pem(svid: X509Svid) -> str:
    """Chain and key as OpenSSL takes them."""
    chain = "".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain)
    return chain + (svid.key.reveal_pem().decode() if svid.key is not None else "")


def _selectors(process: Process) -> tuple[str, ...]:
    selectors = [f"unix:uid:{process.uid}"]
    if process.exe is not None:
        selectors.append(f"unix:path:{process.exe}")
    if process.exe_sha256 is not None:
        selectors.append(f"unix:sha256:{process.exe_sha256}")
    return tuple(selectors)


def _found_event(found: Found, workload: Workload) -> dict[str, Any]:
    return {
        "event": "found",
        "name": workload.name,
        "pid": found.pids[0] if found.pids else None,
        "where": found.upstream.removeprefix("http://"),
        **found.to_dict(),
    }


def _pids_on(port: int) -> list[int]:
    """The processes that listen on a TCP port here, as far as this user may see."""
    from remit.inventory.listening import holders_of  # noqa: PLC0415

    inodes = [one.inode for one in listeners() if one.port == port]
    return sorted({pid for pids in holders_of(inodes).values() for pid in pids})
