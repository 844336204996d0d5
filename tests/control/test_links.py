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
from remit.config import GatewaySettings, Places
from remit.control.gateway_link import GatewayLink
from remit.control.own_log import OwnLog
from remit.control.workers import Worker, Workers
from remit.errors import StateError
from remit.identity import SpiffeId
from remit.policy import Action
from remit.policy.frames import pack
from remit.policy.link import Certify, LogFailed, Refused, Svid
from remit.policy.link_json import encode
from remit.sandbox.channel import Channel
from remit.sandbox.child import Child, start_child
from remit.secret import Secret


class EndedError(Exception):
    """Control would end: nothing here should make it."""


@dataclass
class World:
    """Control's side of the link, and one worker that does nothing by itself: the test speaks for it on `wire`."""

    link: GatewayLink
    workers: Workers
    worker: Worker
    wire: socket.socket
    said: list[dict[str, Any]]

    async def listen(self, sent: bytes) -> int:
        """What becomes of the worker's process once it sent this."""
        self.wire.sendall(sent)
        async with asyncio.timeout(10):
            await self.workers._listen(self.worker)
        return self.worker.child.process.wait(10)


@contextlib.asynccontextmanager
async def a_world(directory: Path) -> AsyncIterator[World]:
    places, said = Places.of(directory, {}), list[dict[str, Any]]()
    log = OwnLog.open(places, "maple.local")
    link = GatewayLink(places, GatewaySettings(), "maple.local", log, {}, said.append)
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(["/bin/sleep", "60"])
    child = Child(process, os.pidfd_open(process.pid), Channel(ours))
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        stack.enter_context(theirs)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(child.forget)
        yield World(link, Workers("remit.app", link, _broke, places.run), Worker("inference", child), theirs, said)


def _broke(error: BaseException) -> None:
    raise EndedError from error


def a_request(shard: str | None = None, started: float | None = None) -> Certify:
    began = time.time() if started is None else started
    return Certify(shard or shard_name("inference-0", began), b"\x11" * 32, began)


def test_a_worker_gets_one_certificate(tmp_path: Path) -> None:
    async def go() -> None:
        async with a_world(tmp_path) as world:
            await world.link.heard(world.worker, a_request())
            with pytest.raises(StateError, match="second"):
                await world.link.heard(world.worker, a_request())

    asyncio.run(go())


@pytest.mark.parametrize(
    ("shard", "started"),
    [
        (shard_name("control", 1000.0), 1000.0),
        (shard_name("tools-0", time.time()), None),
        (shard_name("inference-0", 1000.0), 1000.0),
        ("../../x", None),
        ("x", 1e300),
    ],
)
def test_no_certificate_for_a_log_that_is_not_its_own(tmp_path: Path, shard: str, started: float | None) -> None:
    async def go() -> None:
        async with a_world(tmp_path) as world:
            with pytest.raises(StateError):
                await world.link.heard(world.worker, a_request(shard, started))
            assert not world.worker.certified

    asyncio.run(go())


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\0\0\0\x05\x01nope", "a link frame holds no JSON"),
        (pack({"type": "nonsense"}), "no link message is called `nonsense`"),
        (pack({"type": "ack"}), "`ack` has other fields than epoch"),
        (pack({"type": "ack", "epoch": "one"}), "`epoch` is not a whole number"),
        (pack({"type": "certify"}), "`certify` has other fields"),
        (pack(encode(Svid(Secret("mine")))), "a gateway does not send `svid`"),
    ],
)
def test_a_worker_that_does_not_keep_to_the_link_is_ended_and_the_owner_told_why(
    tmp_path: Path, sent: bytes, why: str
) -> None:
    async def go() -> tuple[int, list[dict[str, Any]]]:
        async with a_world(tmp_path) as world:
            return await world.listen(sent), world.said

    status, said = asyncio.run(go())
    assert status == -9
    assert any(why in event["text"] for event in said), said


def test_a_refusal_is_told_with_the_way_to_allow_it_and_a_failed_log_is_an_error(tmp_path: Path) -> None:
    async def go() -> list[dict[str, Any]]:
        async with a_world(tmp_path) as world:
            llama = SpiffeId.of("maple.local", "inference", "llama")
            await world.link.heard(world.worker, Refused("01M7", "no", "default-deny", Action.INFER, llama))
            await world.link.heard(world.worker, LogFailed("no space", "make some"))
            assert world.worker.log_failure == "no space"
            return world.said

    refused, failed = asyncio.run(go())
    assert refused == {"event": "refused", "decision": "01M7", "message": "no"}  # no such workload: nothing to allow
    assert failed == {"event": "error", "message": "no space", "hint": "make some"}


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
