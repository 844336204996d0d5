"""What is guarded: servers found or started, enrolled, given doors, their models hashed, and let go when they end."""

import asyncio
import dataclasses
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from remit.config import Settings
from remit.control.doors import Door, close_doors, open_doors
from remit.control.realm import Realm
from remit.control.workers import Workers
from remit.errors import ModelError
from remit.identity import SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import DIGEST_HASHING, Discovered, Exclusion, Found, Kind, Model, Probe, Workload
from remit.inventory.discovery import discover, look_at
from remit.inventory.enrolment import CAPABILITIES, again, enrol, selectors_of
from remit.models import Hasher
from remit.policy import Snapshot
from remit.policy.link import Secrets
from remit.sandbox.launch import DemoServer
from remit.secret import Secret

DEMO_NAME: Final = "llama-demo"
DEMO_CREDENTIAL: Final = "demo-api-key"
KEY_PREFIX: Final = "remit_key_"  # what Remit mints carries a fixed prefix, so that the detector finds it anywhere
RESCAN_SECONDS: Final = 15.0
MAX_DEMO_RESTARTS: Final = 5

Event = dict[str, Any]


class Guards:
    """The guarded workloads of one instance. `spawn` runs what hashing brings back on control's event loop."""

    def __init__(
        self,
        *,
        realm: Realm,
        workers: Workers,
        hasher: Hasher,
        probe: Probe,
        settings: Settings,
        run: Path,
        own_paths: frozenset[str],
        owner: str,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        say: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._realm, self._workers, self._hasher, self._probe = realm, workers, hasher, probe
        self._settings, self._run, self._own_paths, self._owner = settings, run, own_paths, owner
        self._deliver, self._say, self._spawn = deliver, say, spawn
        self._loop = asyncio.get_running_loop()
        self._doors: dict[SpiffeId, list[Door]] = {}
        self._demo: DemoServer | None = None
        self.urls: dict[str, dict[str, str]] = {}

    async def look(self) -> Discovered:
        """The model servers on this host now: found, and those that the configuration names."""
        settings = self._settings.discovery
        found = await discover(self._probe, exclude=self._own()) if settings.look else Discovered((), ())
        named = {address: await look_at(self._probe, address) for address in settings.servers}
        silent = tuple(
            f"{address}: named in the configuration, and does not answer" for address in named if not named[address]
        )
        servers = [one for one in (*found.found, *named.values()) if one and one.upstream not in settings.ignore]
        return Discovered(tuple({one.upstream: one for one in servers}.values()), found.unread + silent)

    async def enrol(self, found: Found) -> None:
        """Give a found server its identity: the one it had before, when it was known under this address."""
        known = next((one for one in self._realm.known_workloads.values() if one.upstream == found.upstream), None)
        if known is not None and known.server == found.server:
            workload = dataclasses.replace(again(known, found, time.time()), owner=self._owner)
        else:
            workload = enrol(
                found,
                owner=self._owner,
                trust_domain=self._realm.trust.domain,
                environment=self._settings.environment,
                taken={one.name for one in self._realm.known_workloads.values()},
                now=time.time(),
            )
        self._say(_found_event(found, workload))
        await self._guard(workload)
        for name, file in found.weights:
            self._hash(workload.spiffe_id, name, file.reading, file.node)

    async def start_demo(self) -> None:
        """Start Remit's own demonstration server: a private socket, a random key that only Remit holds."""
        self._say({"event": "note", "text": "no model server answers here: starting a demonstration model (SmolLM2)"})
        await self._launch_demo(self._run / "demo" / "model.sock")

    async def mind_demo(self) -> None:
        """Start the demonstration server again when it dies, with a new key; give up after MAX_DEMO_RESTARTS."""
        for _ in range(MAX_DEMO_RESTARTS):
            if self._demo is None:
                return
            code = await self._demo.wait()
            self._say({"event": "note", "text": f"the demonstration model ended (code {code}); starting it again"})
            await self._realm.act("credential.revoked", DEMO_CREDENTIAL, {"for": DEMO_NAME})
            await self._launch_demo(self._demo.socket_path)

    async def rescan(self) -> None:
        """Look again now and then: a server that started later is guarded too, one that is gone is let go.

        One that the configuration names stays: that it is silent now may be a restart, or its work.
        """
        named = set(self._settings.discovery.servers)
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            found = (await self.look()).found
            guarded = {one.upstream: one for one in self._realm.workloads.values()}
            for one in found:
                known = guarded.get(one.upstream)
                if known is None or known.pid != (one.pids[0] if one.pids else None):
                    await self.enrol(one)
            for upstream, workload in guarded.items():
                if workload.found == "discovered" and upstream not in {one.upstream for one in found} | named:
                    await self._let_go(workload)

    async def close(self) -> None:
        """End what was started here and close every door; the key of the demonstration server dies with it."""
        if self._demo is not None:
            await self._realm.act("credential.revoked", DEMO_CREDENTIAL, {"for": DEMO_NAME})
            await self._demo.stop()
        for doors in self._doors.values():
            close_doors(doors)

    async def _launch_demo(self, path: Path) -> None:
        key = Secret(KEY_PREFIX + secrets.token_hex(32))
        await self._realm.act("credential.issued", DEMO_CREDENTIAL, {"for": DEMO_NAME})
        self._demo = await DemoServer.start(path, key)
        self._workers.tell(Secrets({DEMO_CREDENTIAL: key}))
        workload = self._demo_workload(self._demo)
        await self._guard(workload)
        self._hash(workload.spiffe_id, workload.models[0].name, str(self._demo.model.path))

    def _demo_workload(self, demo: DemoServer) -> Workload:
        process = observe(demo.pid, digests=EXECUTABLES)
        return Workload(
            spiffe_id=SpiffeId.of(self._realm.trust.domain, "inference", DEMO_NAME),
            name=DEMO_NAME,
            kind=Kind.MODEL_SERVER,
            owner=self._owner,
            server="llama.cpp",
            upstream=demo.upstream,
            reach="private",
            capabilities=CAPABILITIES,
            models=(Model(demo.model.name, DIGEST_HASHING, str(demo.model.path)),),
            environment=self._settings.environment,
            selectors=selectors_of(process.uid, process.exe, process.exe_sha256),
            pid=demo.pid,
            start=process.start,
            uid=process.uid,
            exe=process.exe,
            exe_sha256=process.exe_sha256,
            credential=DEMO_CREDENTIAL,
            demonstration=True,
            found="demonstration",
            enrolled_at=time.time(),
        )

    async def _guard(self, workload: Workload) -> None:
        """Put a workload in force and open its doors: from then on it can be called through Remit."""
        await self._realm.enrol(workload)
        await self._deliver(self._realm.snapshot())
        if workload.spiffe_id in self._doors:
            return
        gateway = self._settings.gateway
        first = gateway.port + len(self._doors)
        doors, urls = open_doors(workload, gateway.address, first, self._run)
        if not urls["url"].endswith(f":{first}"):
            self._say({"event": "note", "text": f"port {first} is taken: {workload.name} is served at {urls['url']}"})
        self._doors[workload.spiffe_id] = doors
        self.urls[workload.name] = urls
        for door in doors:
            self._workers.listen(door)

    async def _let_go(self, workload: Workload) -> None:
        await self._realm.leave(workload, "its server no longer answers")
        await self._deliver(self._realm.snapshot())
        self._say({"event": "note", "text": f"{workload.name} no longer answers: not guarded any more"})

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

    def _own(self) -> Exclusion:
        """What is Remit's own and no server to be found."""
        doors = [door for doors in self._doors.values() for door in doors]
        pids = {os.getpid(), *(worker.child.pid for worker in self._workers.live.values())}
        paths = {door.url for door in doors if door.kind == "unix"} | self._own_paths
        if self._demo is not None:
            pids.add(self._demo.pid)
            paths.add(str(self._demo.socket_path))
        ports = frozenset(door.sock.getsockname()[1] for door in doors if door.kind != "unix")
        return Exclusion(frozenset(pids), ports, frozenset(paths))


def _found_event(found: Found, workload: Workload) -> Event:
    return {
        "event": "found",
        "name": workload.name,
        "pid": found.pid,
        "where": found.upstream.removeprefix("http://"),
        **found.to_dict(),
    }
