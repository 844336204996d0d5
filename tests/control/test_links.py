"""What control takes from a worker: one certificate for its own log, and only messages of the link."""

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remit.audit import shard_name
from remit.config import Places, Settings
from remit.control.daemon import Daemon, Tools
from remit.control.owner import Owner
from remit.control.workers import Worker
from remit.errors import StateError
from remit.sandbox.channel import Channel
from remit.sandbox.child import Child, start_child
from remit.storage import Store


@dataclass
class World:
    """Control with an open log, and one worker that does nothing by itself: the test speaks for it on `link`."""

    daemon: Daemon
    worker: Worker
    link: socket.socket

    async def listen(self, sent: bytes) -> int:
        """What becomes of the worker's process once it sent this."""
        self.link.sendall(sent)
        async with asyncio.timeout(10):
            await self.daemon._workers._listen(self.worker)
        return self.worker.child.process.wait(10)


@contextlib.asynccontextmanager
async def a_world(directory: Path) -> AsyncIterator[World]:
    store = Store(directory / "state.db")
    tools = Tools(store, _no_probe, "remit.app", {}, {})
    owner = Owner("ada", (os.getuid(),))
    daemon = Daemon(
        Places.of(directory, {}), Settings(), owner, tools=tools, trust_domain="maple.local", say=lambda _event: None
    )
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(["/bin/sleep", "60"])
    child = Child(process, os.pidfd_open(process.pid), Channel(ours))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        await daemon._open_log(stack)
        stack.enter_context(theirs)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(child.forget)
        yield World(daemon, Worker("inference", child), theirs)


async def _no_probe(_address: str, _target: str) -> None:
    return None


def a_request(**other: Any) -> dict[str, Any]:
    now = time.time()
    given = {"type": "certify", "shard": shard_name("inference-0", now), "public": "11" * 32, "started": now}
    return given | other


def test_a_worker_gets_one_certificate(tmp_path: Path) -> None:
    async def go() -> None:
        async with a_world(tmp_path) as world:
            await world.daemon._heard(world.worker, a_request())
            with pytest.raises(StateError, match="second"):
                await world.daemon._heard(world.worker, a_request())

    asyncio.run(go())


@pytest.mark.parametrize(
    "other",
    [
        {"shard": shard_name("control", 1000.0), "started": 1000.0},
        {"shard": shard_name("tools-0", time.time())},
        {"shard": shard_name("inference-0", 1000.0), "started": 1000.0},
        {"shard": "../../x"},
        {"started": float("inf")},
    ],
)
def test_no_certificate_for_a_log_that_is_not_its_own(tmp_path: Path, other: dict[str, Any]) -> None:
    async def go() -> None:
        async with a_world(tmp_path) as world:
            with pytest.raises((StateError, OverflowError)):
                await world.daemon._heard(world.worker, a_request(**other))
            assert not world.worker.certified

    asyncio.run(go())


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0\0\x05\x01nope",  # no frame of the link
        b'\0\0\0\x0f\x01{"type":"ack"}',
        b'\0\0\0\x1c\x01{"type":"ack","epoch":"one"}',
        b'\0\0\0\x13\x01{"type":"certify"}',
    ],
)
def test_a_worker_that_does_not_keep_to_the_link_is_ended(tmp_path: Path, sent: bytes) -> None:
    async def go() -> int:
        async with a_world(tmp_path) as world:
            return await world.listen(sent)

    assert asyncio.run(go()) == -9


def test_a_child_inherits_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")

    async def environment() -> bytes:
        child = start_child("remit.app", "gateway")  # waits for its welcome
        try:
            while b"LANG" not in (read := Path(f"/proc/{child.pid}/environ").read_bytes()):
                await asyncio.sleep(0.01)
            return read
        finally:
            await child.stop()
            child.forget()

    assert asyncio.run(environment()) == b"LANG=C.UTF-8\0"
