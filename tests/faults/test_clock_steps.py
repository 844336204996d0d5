"""A running instance whose clock is ten minutes off for a while, either way: nothing revives, nothing gets stuck."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from grpclib import Status

from remit.control.mind_ends import STEP_SECONDS, Steps
from remit.errors import AttestationError
from remit.gateway.identify import Peer, _resolve
from remit.identity import Authority, verify_x509
from tests.faults.test_clocks import FakeClock
from tests.gateway.test_policy_edits import LETS, zone
from tests.identity.test_workload_api import READER, World, answer
from tests.policy.worlds import BOT, LLAMA

MINUTES = 60.0
YEARS = 365 * 86400.0


@pytest.mark.parametrize("off", [10 * MINUTES, -10 * MINUTES])
def test_an_open_stream_always_has_a_good_svid_while_the_clock_is_off_and_after(tmp_path: Path, off: float) -> None:
    async def scene() -> None:
        world, got = World(tmp_path / "api.sock"), []

        async def read(stream: Any) -> None:
            while True:
                got.append((await answer(stream)).svids[0].x509_svid)

        async with world.served(), world.stream("FetchX509SVID") as stream:
            reading = asyncio.create_task(read(stream))
            for step in (0.0, off, *[10 * MINUTES] * 7, -off, *[10 * MINUTES] * 7):
                world.clock.now += step
                looks = len(world.identities.asked) + 4
                while len(world.identities.asked) < looks:
                    await asyncio.sleep(0.01)
                life = x509.load_der_x509_certificate(got[-1]).not_valid_after_utc.timestamp() - world.clock.now
                assert life > 20 * MINUTES
                bundle = world.authority.bundle().x509_authorities
                assert str(verify_x509([got[-1]], bundle, world.clock.now)) == READER
            reading.cancel()
        assert 4 <= len(got) <= 8

    asyncio.run(scene())


def test_a_clock_that_was_years_ahead_does_not_keep_a_stream_waiting_for_years(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path / "api.sock")
        right = world.clock.now
        world.authority = Authority.create("example.org", right, 20 * YEARS)
        world.clock.now += 5 * YEARS
        async with world.served(), world.stream("FetchX509SVID") as stream:
            await answer(stream)
            world.clock.now = right
            reply = await answer(stream)
        bundle = world.authority.bundle().x509_authorities
        assert str(verify_x509([reply.svids[0].x509_svid], bundle, right)) == READER

    asyncio.run(scene())


def test_a_jwt_svid_that_was_over_is_not_good_again_at_the_workload_api(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path / "api.sock")
        async with world.served():
            fetched = await world.ask("FetchJWTSVID", audience=["gateway"])
            token = {"audience": "gateway", "svid": fetched.svids[0].svid}
            assert (await world.ask("ValidateJWTSVID", **token)).spiffe_id == READER
            world.clock.now += 6 * MINUTES
            assert await world.refusal("ValidateJWTSVID", **token) is Status.INVALID_ARGUMENT
            world.clock.now -= 10 * MINUTES
            assert await world.refusal("ValidateJWTSVID", **token) is Status.INVALID_ARGUMENT

    asyncio.run(scene())


def test_a_connection_whose_svid_was_over_is_not_good_again_at_a_gateway() -> None:
    here, clock = zone(LETS), FakeClock()
    here.clock = clock
    here.__post_init__()
    connection: Any = SimpleNamespace(kind="tls")
    peer = Peer(connection, LLAMA, None, svid=BOT, svid_until=clock.now + 60)
    assert _resolve(peer, None, "", here, clock.now)[0].spiffe_id == BOT
    clock.now += 61
    here.sweep()
    clock.now -= 10 * MINUTES
    with pytest.raises(AttestationError, match="has expired"):
        _resolve(peer, None, "", here, clock.now)


def test_a_step_of_the_clock_is_seen_once_and_slewing_is_none() -> None:
    clock, steady = FakeClock(), FakeClock()
    steps = Steps(clock, steady)
    seen = []
    for both, wall in ((1, 0.01), (1, 600), (1, 0), (1, -600), (1, STEP_SECONDS / 2), (86400, 0)):
        clock.now += both + wall
        steady.now += both
        seen.append(steps.taken())
    assert seen == [False, True, False, True, False, False]
