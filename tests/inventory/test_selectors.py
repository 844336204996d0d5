"""Which process is a workload's own: the one that was enrolled, and no later one with its pid."""

import dataclasses
import os

from remit.identity import SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import Capability, Kind, Workload, matches

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
