"""Rotation: no verifier and no client is ever without a key that it needs, wherever it is killed."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from remit.errors import StateError
from remit.identity import MAX_X509_TTL, Authority, SpiffeId, verify_jwt, verify_x509
from remit.identity.authority import AUTHORITY_TTL
from remit.identity.rotation import PACE, Pace, Step, signs_from, turn
from tests.identity.forge import NOW

AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")
HALF = NOW + AUTHORITY_TTL / 2
ROOT = Path(__file__).parents[2]
TEN_MINUTES = 600.0


def stepped(authority: Authority, now: float, pace: Pace = PACE, *, asked: bool = False) -> Authority:
    done = turn(authority, now, pace, asked=asked)
    assert done is not None
    return done[1]


def test_the_steps_come_in_order_each_when_it_is_due() -> None:
    authority, steps = Authority.create("example.org", NOW), []
    for now in range(int(NOW), int(NOW + 2.1 * AUTHORITY_TTL), 3600):
        while (done := turn(authority, now)) is not None:
            step, authority = done
            steps.append((step, round((now - NOW) / AUTHORITY_TTL, 2)))
    names = (Step.PREPARED, Step.ACTIVATED, Step.REMOVED)
    assert steps == [(name, at) for at in (0.5, 1.0, 1.5, 2.0) for name in names]


def test_a_key_signs_only_after_it_was_published_and_goes_only_after_its_svids() -> None:
    first = Authority.create("example.org", NOW)
    prepared = stepped(first, HALF)
    assert signs_from(prepared) == HALF + PACE.published
    assert turn(prepared, HALF + PACE.published - 1) is None
    active = stepped(prepared, HALF + PACE.published)
    last_svid = prepared.issue_x509(AGENT, HALF + PACE.published)
    gone = stepped(active, last_svid.expires + TEN_MINUTES + 120)
    assert turn(active, last_svid.expires + TEN_MINUTES) is None
    ours = [set(state.bundle().x509_authorities) for state in (first, prepared, active, gone)]
    assert [len(one) for one in ours] == [1, 2, 2, 1]
    assert ours[0] < ours[1] == ours[2] > ours[3]
    assert [state.sequence for state in (first, prepared, active, gone)] == [1, 2, 3, 4]
    assert [len(state.bundle().jwt_keys) for state in (first, prepared, active, gone)] == [1, 2, 2, 1]


def test_whoever_has_the_bundle_of_before_or_after_a_step_verifies_what_is_signed() -> None:
    states = [Authority.create("example.org", NOW)]
    moments = [NOW, HALF, HALF + PACE.published, HALF + PACE.published + PACE.kept]
    for now in moments[1:]:
        states.append(stepped(states[-1], now))
    for (old, new), now in zip(pairwise(states), moments[1:], strict=True):
        for signer, verifier in ((old, new), (new, old)):
            svid, token = signer.issue_x509(AGENT, now), signer.issue_jwt(AGENT, ("a",), now)
            assert verify_x509(svid.chain, verifier.bundle().x509_authorities, now) == AGENT
            assert verify_jwt(token.token.reveal(), verifier.bundle().jwks(), "a", now).spiffe_id == AGENT


def test_a_retired_key_has_no_private_half_and_never_signs_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    first = Authority.open(path, "example.org", NOW)
    active = stepped(stepped(first, HALF), HALF + PACE.published)
    active.save(path)
    again = Authority.load(path)
    assert again.bundle() == active.bundle()
    for old in (first.x509_authorities[0], first.jwt_authorities[0]):
        assert json.dumps(old.key.reveal_pem().decode())[1:-1] not in path.read_text()
    removed = stepped(again, HALF + PACE.published + PACE.kept)
    removed.save(path)
    assert first.jwt_authorities[0].kid not in path.read_text()


def test_rotating_before_its_time_is_the_same_rotation() -> None:
    authority = Authority.create("example.org", NOW)
    assert turn(authority, NOW + 60) is None
    prepared = stepped(authority, NOW + 60, asked=True)
    assert turn(prepared, NOW + 61, asked=True) is None
    assert stepped(prepared, NOW + 60 + PACE.published).jwt_authorities == prepared.jwt_authorities[1:]


def test_after_a_year_asleep_it_issues_again_at_once() -> None:
    authority, now = Authority.create("example.org", NOW), NOW + 2 * AUTHORITY_TTL
    with pytest.raises(StateError, match="expired"):
        authority.issue_x509(AGENT, now)
    authority = stepped(stepped(authority, now), now)
    assert verify_x509(authority.issue_x509(AGENT, now).chain, authority.bundle().x509_authorities, now) == AGENT


def test_a_clock_that_was_years_ahead_leaves_nothing_that_signs_from_the_future() -> None:
    authority = stepped(Authority.create("example.org", NOW), NOW + 10 * AUTHORITY_TTL)
    mended = stepped(authority, NOW + 60, asked=True)
    assert mended.x509_authorities[1].starts < NOW + 60
    ahead = stepped(authority, NOW + 10 * AUTHORITY_TTL)
    with pytest.raises(StateError, match="not valid yet"):
        ahead.issue_x509(AGENT, NOW)
    back = stepped(stepped(ahead, NOW), NOW)
    assert verify_x509(back.issue_x509(AGENT, NOW).chain, back.bundle().x509_authorities, NOW) == AGENT


@pytest.mark.parametrize("apart", [-TEN_MINUTES, TEN_MINUTES])
def test_a_verifier_whose_clock_is_ten_minutes_off_takes_new_and_half_used_svids(apart: float) -> None:
    authority = Authority.create("example.org", NOW)
    svid = authority.issue_x509(AGENT, NOW)
    for now in (NOW, NOW + MAX_X509_TTL / 2):
        assert verify_x509(svid.chain, authority.bundle().x509_authorities, now + apart) == AGENT


@pytest.mark.parametrize("apart", [-TEN_MINUTES, TEN_MINUTES])
def test_an_authority_goes_on_when_its_own_clock_is_set_by_ten_minutes(apart: float) -> None:
    now = HALF + PACE.published
    for authority in (
        first := Authority.create("example.org", now),
        prepared := stepped(first, now, asked=True),
        stepped(prepared, now + PACE.published),
    ):
        svid = authority.issue_x509(AGENT, now + apart)
        assert verify_x509(svid.chain, authority.bundle().x509_authorities, now + apart) == AGENT


def test_a_file_of_before_rotation_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    authority = Authority.open(path, "example.org", NOW)
    row = json.loads(path.read_bytes()) | {"format": 1}
    del row["prepared_at"], row["retired"]
    path.write_text(json.dumps(row))
    assert Authority.load(path).bundle() == authority.bundle()


def test_a_spoilt_retired_key_spoils_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    active = stepped(stepped(Authority.open(path, "example.org", NOW), HALF), HALF + PACE.published)
    active.save(path)
    row = json.loads(path.read_bytes())
    [old] = row["retired"]
    for spoilt in ({**old, "certificate": "AAAA"}, {**old, "jwk": {}}, {**old, "until": None}, {}, 7):
        path.write_text(json.dumps({**row, "retired": [spoilt]}))
        with pytest.raises(StateError, match="can't be used"):
            Authority.load(path)


def test_the_keys_of_another_trust_domain_are_not_taken_for_this_one(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    Authority.open(path, "example.org", NOW)
    kept = path.read_bytes()
    with pytest.raises(StateError, match=r"are of `example.org`, not of `elsewhere.org`"):
        Authority.open(path, "elsewhere.org", NOW)
    assert path.read_bytes() == kept


def test_a_link_to_keys_that_are_away_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "not mounted" / "authority.json")
    with pytest.raises(StateError, match="symbolic links"):
        Authority.open(path, "example.org", NOW)
    assert path.is_symlink()


def test_killed_at_any_line_it_is_as_before_or_as_after_and_leaves_no_keys_about(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    command = [sys.executable, "-m", "tests.identity.crash", str(tmp_path / "keys")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for step in Step:
        mine = [row for row in rows if row["step"] == step]
        assert len(mine) > 20
        assert [row["killed"] for row in mine] == [True] * (len(mine) - 1) + [False]
        assert all(row["found"] in (row["before"], row["after"]) for row in mine)
        assert all(row["cleared"] == ["authority.json"] for row in mine)
        assert any(row["left"] > 1 for row in mine)
        changed = [row["found"] == row["after"] for row in mine]
        assert changed == sorted(changed)
        assert len(set(changed)) == 2


def test_what_is_replaced_is_never_changed() -> None:
    authority = Authority.create("example.org", NOW)
    kept = replace(authority)
    stepped(authority, HALF)
    assert authority == kept
