"""Looks around that fail: noted, and tried again."""

import asyncio
from pathlib import Path
from typing import Any

from remit.control.lookout import Lookout
from remit.control.pace import Pace
from remit.errors import AttestationError
from remit.inventory import Discovered
from tests.control.test_guards import World, a_world, run, until
from tests.fakes.started import started


class FakeLookout:
    """Looks as `lookout` does, once it has failed `failures` times."""

    def __init__(self, lookout: Lookout, failures: int) -> None:
        self._lookout, self.failures = lookout, failures

    async def look(self) -> Discovered:
        if self.failures:
            self.failures -= 1
            raise AttestationError("`/proc/net/tcp` is larger than 67108864 bytes")
        return await self._lookout.look()


def failing(world: World, failures: int) -> None:
    lookout: Any = FakeLookout(world.guards._lookout, failures)
    world.guards._lookout = lookout
    world.guards._pace = Pace(0.005, 0.005)


def test_a_look_that_fails_is_noted_once_and_a_later_one_guards_what_is_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (_, address):
                world.probe.own.add(address)
                failing(world, 3)
                rescanning = asyncio.create_task(world.guards.rescan())
                await until(lambda: len(world.guarded) == 1)
                rescanning.cancel()
            notes = [event["text"] for event in world.events if event["event"] == "note"]
            assert sum("can't be looked at: `/proc/net/tcp` is larger" in note for note in notes) == 1

    run(main)


def test_looks_that_go_on_failing_end_nothing_and_are_told_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            failing(world, 1_000)
            rescanning = asyncio.create_task(world.guards.rescan())
            await until(lambda: sum("can't be looked at" in event.get("text", "") for event in world.events) == 3)
            assert not rescanning.done()
            rescanning.cancel()

    run(main)
