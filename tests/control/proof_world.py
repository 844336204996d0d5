"""The local page served as control serves it, in a thread of its own; each caller attested by the kernel's word."""

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from remit.control import oauth
from remit.control.clients import Client
from remit.control.passkey_desk import PasskeyDesk
from remit.control.proof_page import about_proofs
from remit.identity.attestation import attest_tcp
from remit.inventory import Human
from remit.persons import Act, Kind, Pending, PendingActs, Proof, Shown
from remit.persons.passkeys import Party, Passkey
from remit.persons.pending import Asking

ADA = Human("ada", "person-1", (0,))


class World:
    """Acts that wait, passkeys in memory, and what was put on record."""

    def __init__(self) -> None:
        self.acts, self.kept, self.records, self.refused = PendingActs(), {}, [], []  # type: ignore[var-annotated]
        self.later = 0.0
        self.browser: tuple[int, int] | None = None
        self.human, self.a_person = ADA, True

    def now(self) -> float:
        return time.monotonic() + self.later

    def wait(self, purpose: str = "tidy up", act: Act = Act.TASK_START) -> str:
        asking = Asking(0, 4242, 1, act, Shown.of(on="llama-8080", purpose=purpose))
        return self.acts.add(asking, Kind.PASSKEY, self.now()).id

    def pending(self, pending_id: str) -> Pending:
        return self.acts.of(pending_id, self.now())

    def grant(self, pending_id: str, kind: Kind, evidence: str, *, session: bool = False) -> None:
        self.acts.grant(pending_id, Proof(kind, evidence, session), self.now())

    async def refuse(self, pending_id: str, why: str) -> None:
        self.acts.drop(pending_id)
        self.refused.append(why)

    def passkeys(self) -> list[Passkey]:
        return list(self.kept.values())

    def save_passkey(self, passkey: Passkey) -> None:
        self.kept[passkey.id] = passkey

    def drop_passkey(self, passkey_id: bytes) -> None:
        del self.kept[passkey_id]

    async def record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        self.records.append((what, subject, person, facts))

    async def at(self, theirs: tuple[str, int], ours: tuple[str, int]) -> Client:
        """Whoever connects acts for ada, in a browser of theirs; which account and process it is, the kernel says."""
        with await asyncio.to_thread(attest_tcp, theirs, ours) as attested:
            assert attested.process is not None
            process = (attested.process.pid, attested.process.start)
            return Client(self.human, None, self.a_person, attested.uid, self.browser or process)


class Page:
    """The page's address, and requests to it as any program can make them."""

    def __init__(self, world: World, desk: PasskeyDesk, port: int) -> None:
        self.world, self.desk, self.port = world, desk, port
        self.origin = f"http://localhost:{port}"

    def send(self, method: str, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        said = {"host": f"localhost:{self.port}"}
        if method == "POST":
            said |= {"origin": self.origin, "content-type": "application/json"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body if method == "POST" else None, {k: v for k, v in said.items() if v})
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, Any]:
        status, _, answer = self.send("POST", path, body, **headers)
        return status, json.loads(answer)


@contextmanager
def served() -> Iterator[Page]:
    """The page on a port of its own."""
    sock = oauth.bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    world = World()
    desk = PasskeyDesk(world, world, world.record, Party(f"http://localhost:{port}"), time.time, world.now)
    api = FastAPI(openapi_url=None)
    about_proofs(api, desk, world)
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await oauth.serve(api, stack, sock)
            ready.set()
            await stop.wait()

    def thread() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    running = threading.Thread(target=thread)
    running.start()
    assert ready.wait(10)
    try:
        yield Page(world, desk, port)
    finally:
        loop.call_soon_threadsafe(stop.set)
        running.join(20)
