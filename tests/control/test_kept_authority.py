"""The authority in force: recorded, kept, then in force; no client fails while it is rotated twice."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from remit.config import AuthoritySettings
from remit.control.kept_authority import KeptAuthority
from remit.errors import AuditError, StateError
from remit.identity import Authority, SpiffeId, WorkloadApi, verify_x509
from remit.identity.rotation import PACE, Pace
from tests.fakes.identities import FakeClock, FakeIdentities, FakeIssuances
from tests.identity.forge import NOW
from tests.identity.outside import Files, OutsideCa

ROOT = Path(__file__).parents[2]
AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")
PUBLISHED, TTL = 1.5, 3.0


@dataclass
class World:
    """A kept authority, what was recorded of it, and who was told."""

    path: Path
    settings: AuthoritySettings = field(default_factory=AuthoritySettings)
    clock: Callable[[], float] = field(default_factory=lambda: FakeClock(NOW))
    pace: Pace = PACE
    recorded: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    told: list[tuple[Authority, bool]] = field(default_factory=list)
    full: bool = False

    def open(self) -> KeptAuthority:
        kept = KeptAuthority(self.path, "example.org", self.settings, self.act, self.clock, self.pace)
        kept.changed = self.tell
        return kept

    async def act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        if self.full:
            raise AuditError("the disk is full")
        assert (subject, person) == ("spiffe://example.org", None)
        self.recorded.append((what, facts))

    async def tell(self, authority: Authority, signs: bool) -> None:
        self.told.append((authority, signs))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "authority.json"


def later(world: World, seconds: float) -> None:
    assert isinstance(world.clock, FakeClock)
    world.clock.now += seconds


def settings_of(files: Files) -> AuthoritySettings:
    return AuthoritySettings(str(files.chain), str(files.key), str(files.roots))


def test_each_step_is_recorded_kept_and_told(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        kept = world.open()
        begun = await kept.rotate()
        assert begun == {"begun": True, "sequence": 2, "signs_from": NOW + PACE.published}
        assert await kept.rotate() == {**begun, "begun": False}
        for seconds in (PACE.published, PACE.kept):
            later(world, seconds)
            await kept.catch_up()
            assert Authority.load(path).bundle() == kept.authority.bundle()
        assert [what for what, _ in world.recorded] == [
            "authority.prepared",
            "authority.activated",
            "authority.removed",
        ]
        assert [signs for _, signs in world.told] == [False, True, False]
        assert [facts["sequence"] for _, facts in world.recorded] == [2, 3, 4]
        assert kept.bundle()["spiffe_sequence"] == 4
        assert kept.bundle()["spiffe_refresh_hint"] == 300
        assert [key["use"] for key in kept.bundle()["keys"]] == ["x509-svid", "jwt-svid"]

    asyncio.run(scene())


def test_published_keys_are_good_for_as_long_as_is_said(path: Path) -> None:
    """Whatever signs before `good_until` is among them; what signs from then on is not."""

    async def scene() -> None:
        world = World(path)
        kept = world.open()
        told = kept.published()
        good = {key["kid"] for key in told["jwks"]["keys"]}
        later(world, told["next_keys"] - NOW - 1)
        await kept.catch_up()
        assert kept.published() == told, "nothing is new until then"
        later(world, 1)
        await kept.catch_up()
        assert len(kept.published()["jwks"]["keys"]) == 2
        later(world, told["good_until"] - told["next_keys"] - 1)
        await kept.catch_up()
        assert kept.authority.jwt_authorities[0].kid in good
        later(world, 1)
        await kept.catch_up()
        assert kept.authority.jwt_authorities[0].kid not in good
        assert told["good_until"] - told["next_keys"] == told["overlap_seconds"] == PACE.published

    asyncio.run(scene())


def test_a_step_that_can_t_be_recorded_or_kept_is_not_in_force(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        kept = world.open()
        before, content = kept.authority.bundle(), path.read_bytes()
        world.full = True
        with pytest.raises(AuditError):
            await kept.rotate()
        world.full = False
        path.parent.chmod(0o755)
        with pytest.raises(StateError, match="open to others"):
            await kept.rotate()
        assert kept.authority.bundle() == before
        assert path.read_bytes() == content
        assert world.told == []
        path.parent.chmod(0o700)
        assert (await kept.rotate())["sequence"] == 2

    asyncio.run(scene())


def test_a_year_asleep_is_caught_up_with_before_anything_is_issued(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        world.open()
        later(world, 3 * PACE.life)
        kept = world.open()
        await kept.catch_up()
        assert isinstance(world.clock, FakeClock)
        now = world.clock.now
        svid = kept.authority.issue_x509(AGENT, now)
        assert verify_x509(svid.chain, kept.trust().x509_authorities, now) == AGENT

    asyncio.run(scene())


def test_an_outside_ca_s_certificate_signs_and_is_renewed_from_its_files(path: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        tmp_path.chmod(0o700)
        ca = OutsideCa(tmp_path, NOW)
        world = World(path, settings_of(ca.give()))
        kept = world.open()
        first, sequence = kept.authority, kept.authority.sequence
        assert sequence == 2
        assert first.bundle().x509_authorities == (ca.root.der,)
        old = first.issue_x509(AGENT, NOW)
        notes: list[str] = []
        ca.give(end=3600)
        await kept.rotate()
        later(world, PACE.published)
        minding = asyncio.create_task(kept.mind(notes.append))
        await asyncio.sleep(0.05)
        minding.cancel()
        assert len(notes) == 1
        assert "expired, or does within a day" in notes[0]
        assert kept.authority.x509_authorities[0].der == first.x509_authorities[0].der
        ca.give()
        minding = asyncio.create_task(kept.mind(notes.append))
        await asyncio.sleep(0.05)
        minding.cancel()
        assert len(notes) == 1
        new = kept.authority.issue_x509(AGENT, NOW)
        assert new.chain[1] != old.chain[1]
        for svid in (old, new):
            assert (
                verify_x509(svid.chain[:1], kept.trust().x509_authorities, NOW, trust_domain="example.org") == AGENT
            )
            assert verify_x509(svid.chain, [ca.root.der], NOW, trust_domain="example.org") == AGENT
        steps = [what for what, _ in world.recorded]
        assert steps == ["authority.prepared", "authority.activated", "authority.outside"]  # also beside a bad file
        assert [signs for _, signs in world.told] == [False, True, True]
        assert World(path, world.settings).open().authority.sequence == sequence + 2
        assert World(path).open().authority.sequence == sequence + 3

    asyncio.run(scene())


def test_without_the_outside_ca_s_files_nothing_starts(path: Path, tmp_path: Path) -> None:
    settings = AuthoritySettings(*(str(tmp_path / name) for name in ("chain.pem", "key.pem", "roots.pem")))
    with pytest.raises(StateError, match=r"can't read `.*chain\.pem`"):
        World(path, settings).open()


async def rotated_twice(kept: KeptAuthority, world: World) -> None:
    """The second rotation begins as soon as the first one's keys sign, and both end."""
    for _ in range(2):
        await kept.rotate()
        steps = len(world.recorded)
        while not any(what == "authority.activated" for what, _ in world.recorded[steps:]):
            await kept.catch_up()
            await asyncio.sleep(0.02)
    while sum(what == "authority.removed" for what, _ in world.recorded) < 2:
        await kept.catch_up()
        await asyncio.sleep(0.02)


def test_a_stock_client_that_fetches_and_verifies_in_a_loop_sees_no_failure_through_two_rotations(
    path: Path, tmp_path: Path
) -> None:
    async def scene() -> dict[str, Any]:
        world = World(path, clock=time.time, pace=Pace(published=PUBLISHED, kept=TTL + 0.5))
        kept = world.open()
        api = WorkloadApi(
            kept.authority, FakeIdentities(str(AGENT)), FakeIssuances(), time.time, x509_ttl=TTL, jwt_ttl=TTL
        )

        async def push(authority: Authority, _signs: bool) -> None:
            api.replace(authority)

        kept.changed = push
        await api.serve(tmp_path / "workload.sock")
        arguments = ("-m", "tests.identity.spiffe_loop", str(tmp_path / "workload.sock"), str(PUBLISHED - 0.3))
        pipe = asyncio.subprocess.PIPE
        client = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe)
        try:
            assert client.stdout is not None
            assert await asyncio.wait_for(client.stdout.readline(), 30) == b"looking\n"
            async with asyncio.timeout(30):
                await rotated_twice(kept, world)
            said, _ = await asyncio.wait_for(client.communicate(b""), 30)
        finally:
            if client.returncode is None:
                client.kill()
            await client.wait()
            await api.close()
        seen: dict[str, Any] = json.loads(said)
        return seen

    seen = asyncio.run(scene())
    assert seen["failures"] == []
    assert seen["signers"] == 3
    assert seen["looks"] > 20
    assert seen["pushed"] > 6
