"""The control process: starts in order, keeps the gateways fed, and ends everything cleanly."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from remit import __version__
from remit.audit import Act, AuditLog, DigestKey, RootKey, WriterKey, certify, shard_name
from remit.config import Places, Settings
from remit.control import api, policy_watch
from remit.control.desk import Deployment, Desk
from remit.control.ended import ended_tasks
from remit.control.guards import Guards
from remit.control.identities import KernelIdentities, RecordedIssuances
from remit.control.instance import write_run_file
from remit.control.lately import lately
from remit.control.owner import Owner
from remit.control.realm import PoliciesInForce, Realm, State, Trust
from remit.control.workers import Worker, Workers
from remit.errors import AuditError, StateError
from remit.identity import Authority, Process, SpiffeId, WorkloadApi, X509Svid
from remit.identity.attestation import EXECUTABLES, listeners, observe
from remit.identity.person import terminal_proof
from remit.inventory import Probe
from remit.inventory.listening import holders_of
from remit.models import Hasher
from remit.policy import Snapshot

ZONE: Final = "inference"
GRADE: Final = "C"
GRADE_WHY: Final = (
    "because Remit runs as you: a hostile process of yours could stop it, read its key or edit its policy"
)
RAISES: Final = "B when Remit runs as its own user (system mode; see docs/threat-model.md)"
CERTIFY_SECONDS: Final = 60.0  # a shard is named by the time it begins; a clock may be set meanwhile
SVID_SECONDS: Final = 1800.0  # half of an X.509-SVID's hour


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
        self.failed = False
        """It stops because something broke, not because it was told to."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = Workers(
            tools.worker, self._welcome, self._heard, self._died, self._broke, self._misbehaved, places.run
        )
        self._log: AuditLog
        self._realm: Realm
        self._guards: Guards

    def request_stop(self, why: str) -> None:
        self._why = self._why or why
        self._stop.set()

    async def run(self) -> None:
        """Start in order, stay until told to stop, end in the opposite order.

        1. the log, so that everything after it is recorded; no worker of an earlier run goes on beside this one
        2. policies and what is in force: without a policy nothing starts
        3. the gateway, while the host is searched for model servers
        4. enrolment: identity, owner, doors; a demonstration server if there is nothing to guard
        5. the APIs
        """
        async with contextlib.AsyncExitStack() as stack:
            # 1
            await self._open_log(stack)
            await self._end_orphan()
            # 2
            policies = policy_watch.first(self._places.policies)
            authority = self._authority()
            self._realm = self._open_realm(authority, policies)
            await self._meet_people()
            self._say(self._starting())
            # 3
            self._guards = self._open_guards(stack)
            gateway = asyncio.create_task(self._start_gateway(stack, authority))
            found = await self._guards.look()
            await gateway
            # 4
            stack.push_async_callback(self._guards.close)
            for text in found.unread:
                self._say({"event": "note", "text": text})
            for one in found.found:
                await self._guards.enrol(one)
            if not found.found:
                await self._guards.start_demo()
            # 5
            desk = await self._serve(stack, authority)
            self._ready(desk)
            self._watch_over(policies, authority, demo=not found.found)
            stack.push_async_callback(self._end_tasks)
            await self._stop.wait()
            self._say({"event": "stopping", "why": self._why})
            if self._log.failure is None:
                await self._act("stopping", "control", None, {"why": self._why})

    async def _open_log(self, stack: contextlib.AsyncExitStack) -> None:
        places = self._places
        self._root = RootKey.open(places.state / "audit.key", places.audit / "audit.pub", self._domain)
        self._digest_key = places.state / "digest.key"
        DigestKey.open(self._digest_key)
        started = time.time()
        shard = shard_name("control", started)
        key = WriterKey.fresh(self._domain, shard)
        certificate = certify(self._root, self._domain, shard, key.verifier.public, started)
        self._log = AuditLog.open(places.audit, key, certificate, t=started, m=time.monotonic())
        stack.callback(self._close_log)
        await self._act("started", "control", None, {"version": __version__, "grade": GRADE})

    def _close_log(self) -> None:
        try:
            self._log.close(t=time.time(), m=time.monotonic())
        except AuditError as error:
            self._tell_failure(error)

    async def _end_orphan(self) -> None:
        pid = await self._workers.end_orphan(ZONE)
        if pid is not None:
            self._say({"event": "note", "text": f"ended the gateway that an earlier run left behind (pid {pid})"})
            await self._act("worker.orphan", ZONE, None, {"pid": pid})

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        await self._log.record(Act(what, subject, person, time.time(), time.monotonic(), facts), b"")

    def _authority(self) -> Authority:
        path = self._places.state / "keys" / "authority.json"
        if path.exists():
            return Authority.load(path)
        authority = Authority.create(self._domain, time.time())
        authority.save(path)
        return authority

    def _open_realm(self, authority: Authority, policies: PoliciesInForce) -> Realm:
        bundle = authority.bundle()
        return Realm(
            Trust(self._domain, bundle.x509_authorities, bundle.to_dict()),
            self._tools.state,
            self._act,
            time.time,
            policies,
            lifetime=self._settings.snapshot_seconds,
            grade=GRADE,
            ended=self._tasks_ended(),
        )

    def _tasks_ended(self) -> dict[str, float]:
        """Which of the kept tasks the log says were ended: all of them when it can't be read."""
        now = time.time()
        open_tasks = [task for task in self._tools.state.tasks() if task.ended is None and task.expires > now]
        if not open_tasks:
            return {}
        try:
            return ended_tasks(self._places.audit, min(task.started for task in open_tasks))
        except AuditError as error:
            self._tell_failure(error)
            self._say({"event": "note", "text": "which tasks were ended can't be read: every task is ended now"})
            return {task.id: now for task in open_tasks}

    async def _meet_people(self) -> None:
        for name, uids in self._owner.others():
            await self._realm.meet(name, uids, only=True)
        await self._realm.meet(self._owner.name, self._owner.uids)

    def _open_guards(self, stack: contextlib.AsyncExitStack) -> Guards:
        places = self._places
        return Guards(
            realm=self._realm,
            workers=self._workers,
            hasher=stack.enter_context(Hasher()),
            probe=self._tools.probe,
            settings=self._settings,
            run=places.run,
            own_paths=frozenset({str(places.api_socket), str(places.workload_api_socket)}),
            owner=self._owner.name,
            deliver=self._deliver,
            say=self._say,
            spawn=self._spawn,
        )

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
            "digest_key": self._digest_key.read_bytes().hex(),
            "limits": self._tools.limits,
            "timeouts": self._tools.timeouts,
        }

    def _give_svid(self, authority: Authority) -> None:
        spiffe_id = SpiffeId.of(self._domain, "remit", "gateway", ZONE)
        self._workers.tell({"type": "svid", "pem": _pem(authority.issue_x509(spiffe_id, time.time()))})

    async def _heard(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["type"]:
            case "certify":
                await self._certify(worker, message)
            case "refused":
                self._tell_owner(message)
            case "log_failed":
                worker.log_failure = str(message["why"])
                self._tell_failure(AuditError(worker.log_failure, hint=str(message["hint"])))

    async def _certify(self, worker: Worker, message: dict[str, Any]) -> None:
        """Certify a worker's log: once, and for a shard of its own zone that begins now; raises StateError."""
        shard, public, started = str(message["shard"]), bytes.fromhex(message["public"]), float(message["started"])
        if worker.certified:
            raise StateError("it asked for a second certificate for its log")
        if abs(started - time.time()) > CERTIFY_SECONDS or shard != shard_name(f"{worker.zone}-0", started):
            raise StateError("it asked to certify a log that is not its own")
        worker.certified = True
        await self._act("writer.certified", shard, None, {"pid": worker.child.pid})
        certificate = certify(self._root, self._domain, shard, public, started)
        worker.child.channel.send({"type": "certificate", "certificate": certificate.to_dict()})

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

    async def _misbehaved(self, worker: Worker, why: str) -> None:
        self._say(
            {"event": "note", "text": f"the {worker.zone} gateway does not keep to its link: ending it ({why})"}
        )
        await self._act("worker.misbehaved", worker.zone, None, {"pid": worker.child.pid, "why": why[:200]})

    def _broke(self, error: BaseException) -> None:
        """Without its gateway or one of its watches this instance would not guard and not say so: it ends."""
        self.failed = True
        self._tell_failure(error)
        self.request_stop(f"a failure: {type(error).__name__}")

    def _tell_failure(self, error: BaseException) -> None:
        self._say({"event": "error", "message": str(error) or repr(error), "hint": getattr(error, "hint", "")})

    def _failures(self) -> list[str]:
        """Why the log takes no more records, of each writer that can't write."""
        own = [str(self._log.failure)] if self._log.failure is not None else []
        return own + [worker.log_failure for worker in self._workers.live.values() if worker.log_failure]

    async def _deliver(self, snapshot: Snapshot) -> bool:
        self._workers.push(snapshot)
        return await self._workers.settled(snapshot.epoch)

    async def _serve(self, stack: contextlib.AsyncExitStack, authority: Authority) -> Desk:
        desk = Desk(
            realm=self._realm,
            deployment=self._deployment(),
            observe=_observed,
            terminal_proof=terminal_proof,
            deliver=self._deliver,
            lately=lambda now: lately(self._places.audit, now),
            ports=_pids_on,
            workers=lambda: {zone: worker.child.pid for zone, worker in self._workers.live.items()},
            failures=self._failures,
            doors=self._guards.urls,
            request_stop=self.request_stop,
        )
        identities = KernelIdentities(self._realm, _observed)
        workload_api = WorkloadApi(authority, identities, RecordedIssuances(self._realm, self._act), time.time)
        await workload_api.serve(self._places.workload_api_socket)
        stack.push_async_callback(workload_api.close)
        self._places.api_socket.unlink(missing_ok=True)
        stack.push_async_callback(await api.serve(api.build(desk), api.bind(str(self._places.api_socket))))
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

    def _ready(self, desk: Desk) -> None:
        status = desk.status()
        urls = [server["base_url"] for server in status["guarded"] if "base_url" in server]
        write_run_file(self._places.run_file, {"pid": os.getpid(), "urls": urls, "api": status["api"]})
        self._say({"event": "ready", **status})

    def _watch_over(self, policies: PoliciesInForce, authority: Authority, *, demo: bool) -> None:
        self._spawn(policy_watch.watch(self._places.policies, policies, self._policies_changed))
        self._spawn(self._renew(authority))
        if demo:
            self._spawn(self._guards.mind_demo())
        if self._settings.discovery.look or self._settings.discovery.servers:
            self._spawn(self._guards.rescan())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A watch that fails ends the instance: what it watched over would go on unwatched.

        Not when control's own log failed: then nothing can change here any more, and `status` says so.
        """
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AuditError):
            self._tell_failure(error)
        elif error is not None:
            self._broke(error)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _policies_changed(self, policies: PoliciesInForce) -> None:
        await self._realm.put_policies(policies)
        await self._deliver(self._realm.snapshot())
        self._say({"event": "policy", "set": policies.digest, "warning": policies.warning})

    async def _renew(self, authority: Authority) -> None:
        """Well before they end: a fresh Snapshot, and a fresh SVID for the gateway."""
        svid_at = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.snapshot_seconds / 3)
            await self._deliver(self._realm.snapshot())
            if time.monotonic() - svid_at > SVID_SECONDS:
                svid_at = time.monotonic()
                self._give_svid(authority)


def _observed(pid: int) -> Process:
    return observe(pid, digests=EXECUTABLES)


def _pids_on(port: int) -> list[int]:
    """The processes that listen on a TCP port here, as far as this user may see."""
    inodes = [one.inode for one in listeners() if one.port == port]
    return sorted({pid for pids in holders_of(inodes).values() for pid in pids})


def _pem(svid: X509Svid) -> str:
    """Chain and key as OpenSSL takes them."""
    chain = "".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain)
    return chain + (svid.key.reveal_pem().decode() if svid.key is not None else "")
