"""Which process is a workload's own: the one that was enrolled, and no later one with its pid."""

import dataclasses
import os

import pytest

from remit.errors import AttestationError
from remit.identity import SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.identity.selectors import selectors_of
from remit.inventory import Capability, Kind, LifeState, Workload, matches
from remit.inventory.selectors import REGISTERED, SelectorsError, check_registration, workload_of

ME = observe(os.getpid(), digests=EXECUTABLES)
MINE = Workload(
    spiffe_id=SpiffeId.parse("spiffe://maple.local/agent/me"),
    name="me",
    kind=Kind.AGENT,
    owner="ada",
    server="llama.cpp",
    upstream="http://127.0.0.1:8080",
    reach="loopback",
    capabilities=(Capability.STORE,),
    selectors=(f"unix:uid:{ME.uid}",),
    pid=ME.pid,
    start=ME.start,
)


def test_the_enrolled_process_is_the_workload() -> None:
    assert matches(MINE, ME)
    assert matches(Workload.from_dict(MINE.to_dict()), ME)


def test_a_later_process_with_its_pid_is_not() -> None:
    assert not matches(MINE, dataclasses.replace(ME, start=ME.start + 1))


def test_one_enrolled_without_a_start_matches_no_process() -> None:
    row = MINE.to_dict()
    del row["start"]  # as it was kept before starts were
    assert not matches(Workload.from_dict(row), ME)


def test_every_selector_must_hold() -> None:
    assert not matches(dataclasses.replace(MINE, selectors=("unix:uid:4294967294",)), ME)
    assert not matches(dataclasses.replace(MINE, selectors=()), ME)


def registered(name: str, *selectors: str) -> Workload:
    spiffe_id = SpiffeId.parse(f"spiffe://maple.local/agent/{name}")
    return dataclasses.replace(
        MINE, spiffe_id=spiffe_id, name=name, selectors=selectors, pid=None, start=None, found=REGISTERED
    )


def test_one_registered_by_its_selectors_is_any_process_that_has_them_all() -> None:
    own = selectors_of(ME)
    assert matches(registered("me", *own), ME)
    assert matches(Workload.from_dict(registered("me", *own).to_dict()), ME)
    assert not matches(registered("me", *own, "unix:uid:4294967294"), ME)
    assert not matches(registered("me", *own, "docker:label:x"), ME)
    assert not matches(registered("me"), ME)


def test_a_process_that_is_two_workloads_is_neither() -> None:
    one, two = registered("one", f"unix:uid:{ME.uid}"), registered("two", f"unix:sha256:{ME.exe_sha256}")
    other = registered("other", "unix:uid:4294967294")
    assert workload_of(ME, [other, two]) is two
    assert workload_of(ME, [other]) is None
    with pytest.raises(AttestationError, match=r"agent/one` and of `spiffe://maple.local/agent/two") as refusal:
        workload_of(ME, [one, other, two])
    assert refusal.value.hint


NEW = SpiffeId.parse("spiffe://maple.local/agent/new")
DIGEST = f"unix:sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("selectors", "problem"),
    [
        ((), "has no selectors"),
        (("unix:uid:1", "unix:uid:2"), "can't be both `1` and `2`"),
        (("unix:uid:1", "unix:shoe:44"), "`unix:shoe:44` is no selector known here"),
        (("unix:sha256:AB",), "has a value that no process has"),
        (("script:path:/opt/agent.py", "parent:path:/usr/bin/bash"), "are all weak"),
        (("systemd:unit:user@1000.service/agent.service",), "are all weak"),
    ],
)
def test_selectors_that_match_no_process_or_prove_too_little_are_refused(
    selectors: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(SelectorsError, match=problem) as refusal:
        check_registration(NEW, selectors, [])
    assert "agent/new" in str(refusal.value) or "unix:" in str(refusal.value)


@pytest.mark.parametrize("more", [(), ("unix:gid:100",), ("unix:supplementary_gid:100",)])
def test_selectors_that_are_anothers_as_well_are_refused_with_both_names(more: tuple[str, ...]) -> None:
    old = registered("old", "unix:uid:1000", DIGEST)
    for first, second in (((*old.selectors, *more), old), (old.selectors, registered("old", *old.selectors, *more))):
        with pytest.raises(SelectorsError, match=r"match two identities: .*agent/new.*agent/old") as refusal:
            check_registration(NEW, first, [second])
        assert "old" in refusal.value.hint


def test_selectors_that_one_process_could_have_with_another_s_are_refused_too() -> None:
    by_path, by_digest = ("unix:uid:1000", "unix:path:/opt/a"), ("unix:uid:1000", DIGEST)
    with pytest.raises(SelectorsError, match="match two identities") as refusal:
        check_registration(NEW, by_digest, [registered("old", *by_path)])
    assert refusal.value.hint.endswith("add another `unix:path`")
    check_registration(NEW, (*by_digest, "unix:path:/opt/b"), [registered("old", *by_path)])
    check_registration(NEW, ("unix:uid:1001",), [registered("old", *by_path)])


def test_a_retired_workload_gives_its_selectors_to_the_next_one() -> None:
    old, new = registered("old", f"unix:uid:{ME.uid}"), registered("new", f"unix:uid:{ME.uid}")
    retired = dataclasses.replace(old, state=LifeState.RETIRED)
    check_registration(NEW, old.selectors, [retired])
    assert workload_of(ME, [retired]) is retired, "its process is nobody else's until somebody says so"
    assert workload_of(ME, [retired, new]) is new
    with pytest.raises(AttestationError, match="has the selectors of"):
        workload_of(ME, [dataclasses.replace(old, state=LifeState.SUSPENDED), new])


def test_selectors_that_tell_it_from_all_others_are_taken() -> None:
    old = registered("old", "unix:uid:1000", DIGEST, "systemd:unit:old.service")
    new = (
        "unix:uid:1000",
        DIGEST,
        "systemd:unit:new.service",
        "unix:supplementary_gid:4",
        "unix:supplementary_gid:5",
    )
    check_registration(NEW, new, [old, MINE])
    check_registration(old.spiffe_id, old.selectors, [old])  # its own, written down again
