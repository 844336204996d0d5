"""What one zone's worker is told another's never hears: secrets, identities, doors."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from remit.control.doors import DECISIONS, INFERENCE, Door, close_doors
from remit.control.workers import Worker, Workers
from remit.identity import SpiffeId
from remit.policy.link import DoorKind, Listen, Message, Said, Secrets, Skin, Svid
from remit.sandbox.channel import Channel
from remit.sandbox.child import Child
from remit.secret import Secret

HERE = SpiffeId.of("maple.local", "remit", "gateway", "decisions")


@dataclass
class Zones:
    """Two workers that do nothing by themselves; what control sends each is read from its end of the link."""

    workers: Workers
    theirs: dict[str, Channel]

    async def told(self, zone: str) -> list[Message]:
        """All that came to a zone's worker so far; descriptors beside it are closed."""
        found: list[Message] = []
        with contextlib.suppress(TimeoutError):
            while (message := await asyncio.wait_for(self.theirs[zone].receive(), 0.2)) is not None:
                if isinstance(message, Listen):
                    os.close(self.theirs[zone].take_fds(1)[0])
                found.append(message)
        return found


@contextlib.asynccontextmanager
async def two_zones(place: Path) -> AsyncIterator[Zones]:
    with contextlib.ExitStack() as stack:
        workers = Workers("remit.app", None, _broke, place)  # type: ignore[arg-type]
        theirs = {}
        for zone in (INFERENCE, DECISIONS):
            ours, other = socket.socketpair()
            process = subprocess.Popen(["/bin/sleep", "60"])
            child = Child(process, os.pidfd_open(process.pid), Channel(ours))
            workers.live[zone] = Worker(zone, child)
            theirs[zone] = Channel(other)
            for last in (process.wait, process.kill, child.forget, theirs[zone].close):
                stack.callback(last)
        yield Zones(workers, theirs)


def _broke(error: BaseException) -> None:
    raise error


def a_door(zone: str, skin: Skin) -> Door:
    return Door(HERE, DoorKind.TCP, "http://x", socket.create_server(("127.0.0.1", 0)), zone=zone, skin=skin)


def test_each_zone_hears_what_is_its_own(tmp_path: Path) -> None:
    async def play() -> None:
        async with two_zones(tmp_path) as zones:
            for worker in zones.workers.live.values():
                worker.ready.set()
            doors = _tell(zones.workers)
            assert _kinds(await zones.told(INFERENCE)) == [Secrets, Svid, (Listen, Skin.SERVER)]
            assert _kinds(await zones.told(DECISIONS)) == [Svid, (Listen, Skin.AUTHZEN), Said]
            close_doors(doors)

    asyncio.run(play())


def test_a_successor_is_told_what_is_its_zone_s(tmp_path: Path) -> None:
    async def play() -> None:
        async with two_zones(tmp_path) as zones:
            doors = _tell(zones.workers)
            for worker in zones.workers.live.values():
                zones.workers._brief(worker)
            assert _kinds(await zones.told(INFERENCE)) == [Secrets, Svid, (Listen, Skin.SERVER)]
            assert _kinds(await zones.told(DECISIONS)) == [Svid, (Listen, Skin.AUTHZEN)]
            close_doors(doors)

    asyncio.run(play())


def _tell(workers: Workers) -> list[Door]:
    workers.tell(Secrets({"key": Secret("k")}))
    workers.tell(Svid(Secret("inference's")))
    workers.tell(Svid(Secret("decisions'")), DECISIONS)
    doors = [a_door(INFERENCE, Skin.SERVER), a_door(DECISIONS, Skin.AUTHZEN)]
    for door in doors:
        workers.listen(door)
    workers.send(DECISIONS, Said("t-1", Secret("to bob")))
    return doors


def _kinds(messages: list[Message]) -> list[object]:
    return [(Listen, one.skin) if isinstance(one, Listen) else type(one) for one in messages]
