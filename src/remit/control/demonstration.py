"""Remit's own demonstration server: started with a key that only Remit holds, and started again when it dies."""

import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from remit.control.realm import Realm
from remit.control.workers import Workers
from remit.identity import SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import DIGEST_HASHING, Kind, LifeState, Model, Workload
from remit.inventory.enrolment import CAPABILITIES
from remit.inventory.selectors import selectors_to_enrol
from remit.policy.link import Secrets
from remit.sandbox.launch import DemoServer
from remit.secret import Secret

DEMO_NAME: Final = "llama-demo"
DEMO_CREDENTIAL: Final = "demo-api-key"
KEY_PREFIX: Final = "remit_key_"  # what Remit mints carries a fixed prefix, so that the detector finds it anywhere
MAX_DEMO_RESTARTS: Final = 5


class Demonstration:
    """One demonstration server and its key. `guard` puts its workload in force, `let_go` takes it out."""

    def __init__(
        self,
        *,
        realm: Realm,
        workers: Workers,
        owner: str,
        environment: str,
        guard: Callable[[Workload], Awaitable[None]],
        let_go: Callable[[SpiffeId, str], Awaitable[None]],
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._realm, self._workers, self._owner, self._environment = realm, workers, owner, environment
        self._guard, self._let_go, self._say = guard, let_go, say
        self.server: DemoServer | None = None

    @property
    def spiffe_id(self) -> SpiffeId:
        return SpiffeId.of(self._realm.trust.domain, "inference", DEMO_NAME)

    async def start(self, path: Path) -> None:
        """Start it on the private socket `path`, with a new key."""
        key = Secret(KEY_PREFIX + secrets.token_hex(32))
        await self._realm.act("credential.issued", DEMO_CREDENTIAL, {"for": DEMO_NAME})
        self.server = await DemoServer.start(path, key)
        self._workers.tell(Secrets({DEMO_CREDENTIAL: key}))
        await self._guard(self._workload(self.server))

    async def mind(self) -> None:
        """Start it again when it dies, with a new key; after MAX_DEMO_RESTARTS it is let go."""
        restarts = 0
        while self.server is not None:
            code = await self.server.wait()
            await self.server.stop()  # what is still held of it is closed
            await self._revoke()
            if restarts == MAX_DEMO_RESTARTS:
                await self._let_go(self.spiffe_id, f"it ended {restarts + 1} times (code {code})")
                return
            restarts += 1
            self._say({"event": "note", "text": f"the demonstration model ended (code {code}); starting it again"})
            await self.start(self.server.socket_path)

    async def stop(self) -> None:
        """End it, if it was started; its key dies with it."""
        if self.server is not None:
            await self._revoke()
            await self.server.stop()

    async def _revoke(self) -> None:
        await self._realm.act("credential.revoked", DEMO_CREDENTIAL, {"for": DEMO_NAME})

    def _workload(self, server: DemoServer) -> Workload:
        process = observe(server.pid, digests=EXECUTABLES)
        return Workload(
            spiffe_id=self.spiffe_id,
            name=DEMO_NAME,
            kind=Kind.MODEL_SERVER,
            owner=self._owner,
            server="llama.cpp",
            upstream=server.upstream,
            reach="private",
            capabilities=CAPABILITIES,
            models=(Model(server.model.name, DIGEST_HASHING, str(server.model.path)),),
            environment=self._environment,
            selectors=selectors_to_enrol(process),
            pid=server.pid,
            start=process.start,
            uid=process.uid,
            exe=process.exe,
            exe_sha256=process.exe_sha256,
            credential=DEMO_CREDENTIAL,
            demonstration=True,
            found="demonstration",
            enrolled_at=time.time(),
            state=LifeState.DISCOVERED,
        )
