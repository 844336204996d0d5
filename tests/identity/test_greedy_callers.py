"""A caller that opens calls without end has its fill, is told so, and hurts nobody else."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from remit.identity.grpc_server import CALLS, CONNECTIONS
from remit.identity.peer import PeerCredentials
from remit.identity.quota import Quota
from tests.identity.test_workload_api import READER, ROOT, World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workload.sock"


@asynccontextmanager
async def greedy(path: Path, connections: int, streams: int) -> AsyncIterator[dict[str, int]]:
    """How its calls fared; it keeps them open."""
    arguments = ("-m", "tests.identity.greedy_client", str(path), str(connections), str(streams))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        assert process.stdout is not None
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    finally:
        process.kill()
        await process.wait()


def test_ten_thousand_streams_of_one_process_are_bounded_and_others_are_served(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(recheck=60):
            async with greedy(path, 200, 10_000) as fates:
                refused = f"RESOURCE_EXHAUSTED: too many open calls: at most {CALLS[0]}"
                assert fates == {"open": CALLS[0], refused: 10_000 - CALLS[0]}
                async with asyncio.timeout(2):
                    assert (await world.ask("FetchX509SVID")).svids[0].spiffe_id == READER
            async with greedy(path, 1, 10) as fates:
                assert fates == {"open": 10}

    asyncio.run(scene())


def test_connections_without_end_are_bounded_as_well(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(recheck=60), greedy(path, CONNECTIONS[0] + 50, CONNECTIONS[0] + 50) as fates:
            assert fates == {"open": CONNECTIONS[0], "connection closed": 50}
            async with asyncio.timeout(2):
                assert (await world.ask("FetchX509SVID")).svids[0].spiffe_id == READER

    asyncio.run(scene())


def test_a_uid_has_its_fill_however_many_processes_it_makes() -> None:
    quota = Quota(process=2, uid=5)
    callers = [PeerCredentials(pid, 1000, 1000) for pid in (1, 1, 1, 2, 2, 3, 4)]
    assert [quota.take(caller) for caller in callers] == [True, True, False, True, True, True, False]
    assert quota.take(PeerCredentials(9, 1001, 1001))
    quota.give_back(callers[0])
    assert quota.take(callers[-1])
