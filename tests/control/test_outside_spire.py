"""An outside SPIRE as the source of identity: met in time or not at all, followed, and not believed for ever."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from grpclib import Status

from remit.control import meet_spire, outside_spire
from remit.control.identity_source import NotOursError
from remit.control.outside_spire import OutsideSpire
from remit.errors import ConfigError, StateError
from remit.identity import Authority, Bundle
from remit.identity.rotation import PACE, turn
from tests.fakes.identities import FakeClock
from tests.fakes.outside_workload_api import FakeWorkloadApi
from tests.identity.forge import NOW

DOMAIN = "spiffe://example.org"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_spire, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(outside_spire, "LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(outside_spire, "LOOK_SECONDS", 0.01)


@dataclass
class World:
    """A SPIRE, and what became known of it here."""

    path: Path
    authority: Authority = field(default_factory=lambda: Authority.create("example.org", NOW))
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    recorded: list[tuple[str, str]] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fake: FakeWorkloadApi = field(init=False)

    async def start(self) -> None:
        self.fake = FakeWorkloadApi(self.path)
        await self.fake.start()
        self.fake.speak_for(self.authority, "remit/gateway/inference", self.clock.now)

    async def met(self, named: str = "") -> OutsideSpire:
        spire = await meet_spire.meet_spire(self.path, named, self.clock)
        spire.record(self._act)
        await spire.catch_up()
        spire.changed = self._changed
        return spire

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        assert (person, bool(facts)) == (None, True)
        self.recorded.append((what, subject))

    async def _changed(self, svid: bool) -> None:
        self.told.append(svid)

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[OutsideSpire]:
        spire = await self.met()
        task = asyncio.create_task(spire.mind(self.notes.append))
        try:
            async with asyncio.timeout(20):
                yield spire
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            spire.close()

    def rotate(self) -> None:
        """The next step of the authority's keys, and an SVID of it."""
        done = turn(self.authority, self.clock.now, PACE, asked=True)
        assert done is not None
        self.authority = done[1]
        self.fake.speak_for(self.authority, "remit/gateway/inference", self.clock.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "api.sock")


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.005)


def play(world: World, scene: Callable[[], Any]) -> None:
    async def whole() -> None:
        await world.start()
        try:
            await scene()
        finally:
            await world.fake.stop()

    asyncio.run(whole())


def test_what_it_gives_first_is_recorded_and_in_force(world: World) -> None:
    async def scene() -> None:
        spire = await world.met(named="example.org")
        assert world.recorded == [("spire.svid", f"{DOMAIN}/remit/gateway/inference"), ("spire.bundle", DOMAIN)]
        ours = world.authority.bundle()
        assert spire.trust().x509_authorities == ours.x509_authorities
        assert spire.trust().domain == "example.org"
        bundle = Bundle.from_dict("example.org", spire.bundle())
        assert (bundle.x509_authorities, len(bundle.jwt_keys)) == (ours.x509_authorities, 1)
        assert "BEGIN PRIVATE KEY" in spire.gateway_svid("inference").pem.reveal()
        assert spire.described()["text"] == f"SPIRE at {world.path} (trust domain example.org), issues nothing itself"
        spire.close()

    play(world, scene)


def test_it_issues_and_rotates_nothing(world: World) -> None:
    async def scene() -> None:
        spire = await world.met()
        for refused in (spire.authority, spire.published):
            with pytest.raises(NotOursError, match=f"come from SPIRE at `{world.path}`"):
                refused()
        with pytest.raises(NotOursError):
            await spire.rotate()
        spire.close()

    play(world, scene)


def test_another_trust_domain_than_the_configured_one_is_refused(world: World) -> None:
    async def scene() -> None:
        with pytest.raises(
            ConfigError, match=r"`trust_domain` is `maple.example`, and SPIRE at .* is of `example.org`"
        ):
            await world.met(named="maple.example")

    play(world, scene)


def test_a_process_that_it_does_not_know_is_told_what_to_register(world: World) -> None:
    async def scene() -> None:
        world.fake.status = Status.PERMISSION_DENIED
        with pytest.raises(StateError, match=f"SPIRE at `{world.path}` has no identity for this process") as caught:
            await world.met()
        exe = Path("/proc/self/exe").readlink()
        assert f"-selector unix:uid:{os.geteuid()} -selector unix:path:{exe}" in caught.value.hint

    play(world, scene)


def test_an_answer_that_is_not_right_stops_the_start(world: World) -> None:
    async def scene() -> None:
        world.fake.answers["X509SVID"].svids[0].bundle = b""
        with pytest.raises(StateError, match="can't be used: there is no certificate"):
            await world.met()

    play(world, scene)


def test_silence_does_not_hold_up_the_start_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meet_spire, "START_SECONDS", 0.2)

    async def scene() -> None:
        hung_up = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            hung_up.set()

        async with await asyncio.start_unix_server(silent, world.path):
            with pytest.raises(StateError, match=f"SPIRE at `{world.path}` did not answer within"):
                await world.met()
            await asyncio.wait_for(hung_up.wait(), 20)

    asyncio.run(scene())


def test_new_keys_and_svids_are_recorded_before_they_are_told(world: World) -> None:
    async def scene() -> None:
        async with world.followed() as spire:
            old = spire.gateway_svid("inference")
            await until(lambda: world.fake.calls >= 6)
            assert world.told == []  # what is the same is no news
            world.rotate()
            await world.fake.push()
            await until(lambda: len(world.told) == 3)
            assert sorted(world.told) == [False, False, True]
            assert [what for what, _ in world.recorded[2:]].count("spire.bundle") == 2
            assert spire.trust().x509_authorities == world.authority.bundle().x509_authorities
            assert len(spire.trust().jwt_authorities["keys"]) == 2
            assert spire.gateway_svid("inference") != old
        assert world.notes == []

    play(world, scene)


def test_an_outage_leaves_the_last_in_force_until_the_svid_ends_and_then_nothing(world: World) -> None:
    async def scene() -> None:
        async with world.followed() as spire:
            before = spire.trust()
            await until(lambda: world.fake.calls >= 6)
            await world.fake.stop()
            await until(lambda: world.notes)
            assert "What it gave last stays in force until" in world.notes[0]
            assert str(world.path) in world.notes[0]
            assert spire.trust() == before
            assert spire.described()["silent_since"] == NOW
            world.clock.now += 3601
            await until(lambda: world.told)
            assert "has ended" in world.notes[1]
            assert (spire.trust().x509_authorities, spire.trust().jwt_authorities) == ((), {"keys": []})
            assert world.told == [False]
            await world.start()
            await until(lambda: True in world.told)
            assert spire.trust() == before
            await until(lambda: len(world.notes) == 3)
            assert world.notes[2] == f"SPIRE at `{world.path}` answers again"
            assert spire.described()["silent_since"] is None

    play(world, scene)


def test_what_is_not_right_later_is_left_aside_whole(world: World) -> None:
    async def scene() -> None:
        async with world.followed() as spire:
            before = (spire.trust(), spire.gateway_svid("inference"))
            await until(lambda: world.fake.calls >= 6)
            other = Authority.create("other.example", NOW)
            world.fake.speak_for(other, "remit/gateway/inference", NOW)
            await world.fake.push()
            await until(lambda: len(spire._lost) == 3)
            assert (spire.trust(), spire.gateway_svid("inference")) == before
            assert world.told == []
            assert len(world.notes) == 1

    play(world, scene)


def test_it_is_the_same_when_it_no_longer_knows_this_process(world: World) -> None:
    async def scene() -> None:
        async with world.followed() as spire:
            before = spire.trust()
            await until(lambda: world.fake.calls >= 6)
            world.fake.status = Status.PERMISSION_DENIED
            await world.fake.push()
            await until(lambda: world.notes)
            assert spire.trust() == before

    play(world, scene)
