"""Requests for approvals over a real realm and database, with people, a server, and clocks that the test moves."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from remit.config import ApprovalSettings
from remit.control.approvals import Approvals
from remit.inventory import Human
from remit.policy.link import AskPeople
from remit.tasks import ApprovalRequest, Task
from remit.tasks.approval_matter import Matter
from remit.tasks.approval_request import Extent
from tests.control.test_realm import LLAMA, POLICIES, World, a_server

NOW = 1000.0
MATTER = Matter(
    decision="01",
    binding=hashlib.sha256(b"one").hexdigest(),
    policy_set=POLICIES.digest,
    needed="owner",
    by=["ask-first (a.cedar:1)"],
    described="agent (pid 5, uid 1000)",
    workload="spiffe://maple.local/user/ada",
    human="ada",
    uids=[1000],
    chain=[],
    task=None,
    action="infer",
    on=str(LLAMA),
    owner="ada",
    route="POST /v1/chat/completions",
    target="/v1/chat/completions",
    model="smol",
    model_digest="sha256:00",
    thing=None,
    destination=None,
    provenance=None,
    flow=None,
    found={},
    presence="unknown",
    outside=False,
    arguments='{"messages": []}',
    size=16,
    wait=0.0,
)


class Asking(World):
    """`ada` owns a server; `bob` is another person. A record takes `slow` turns of the loop."""

    slow = 0

    def __init__(self, directory: Path, **settings: Any) -> None:
        super().__init__(directory)
        self.ada, self.bob = self.meet("ada", 1000), self.meet("bob", 1001)
        self.run(lambda: self.realm.lives.enrol(a_server()))
        self.steady, self.events, self.told = 0.0, [], []  # type: ignore[var-annotated]
        self.settings = ApprovalSettings(**settings)
        self.approvals = self.fresh()

    def fresh(self) -> Approvals:
        """As control makes them when it starts."""
        keyed = lambda value: "hmac-sha256:" + value.hex()  # noqa: E731
        made = Approvals(
            self.realm, self.settings, keyed, self.events.append, self.told.append, steady=lambda: self.steady
        )
        made.take_up()
        return made

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        for _ in range(self.slow):
            await asyncio.sleep(0)
        await super()._act(what, subject, person, facts)

    def later(self, seconds: float) -> None:
        self.now, self.steady = self.now + seconds, self.steady + seconds

    async def ask(self, **changed: Any) -> dict[str, Any]:
        """A gateway asks; it waits no time unless `wait` says so."""
        return await self.approvals.answer(None, AskPeople(1, replace(MATTER, **changed).to_dict()))

    async def asked(self, **changed: Any) -> str:
        """The id under which people are asked now."""
        return str((await self.ask(**changed))["pending"])

    async def waiting(self, **changed: Any) -> tuple[asyncio.Task[dict[str, Any]], ApprovalRequest]:
        """A call that waits for the answer, and its request."""
        call = asyncio.create_task(self.ask(**{"wait": 20.0, **changed}))
        for _ in range(200):
            await asyncio.sleep(0.005)
            binding = "hmac-sha256:" + replace(MATTER, **changed).binding
            for one in self.approvals.listed():
                live = self.approvals.live(one)
                if one.binding == binding and live is not None and live.waiting:
                    return call, one
        raise AssertionError("it does not wait")

    async def yes(self, request_id: str, by: Human | None = None, extent: Extent = Extent.ONCE, **more: Any) -> None:
        said = {"proof": "password", "why": "", "calls": 1, "self_confirmed": False, **more}
        await self.approvals.approve(request_id, by or self.bob, extent, **said)

    def task(self, **more: Any) -> Task:
        task = Task("t-1", "ada", LLAMA, ("infer",), "", self.now, self.now + 3600, "00", "terminal", **more)
        self.realm.keep_task(task)
        return task

    def recorded(self) -> list[str]:
        return [what for what, *_ in self.acts if what.startswith("approval.")]


def run(body: Callable[[], Awaitable[None]]) -> None:
    """A test's own loop, bounded."""

    async def go() -> None:
        await asyncio.wait_for(body(), 20)

    asyncio.run(go())
