"""Whom a process is, found by an index, is whom looking through all workloads finds."""

import dataclasses
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import AttestationError
from remit.identity import Process, SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import Capability, Enrolled, Kind, Workload
from remit.inventory.selectors import REGISTERED, workload_of

ME = observe(os.getpid(), digests=EXECUTABLES)
FEW = [
    "unix:uid:1",
    "unix:uid:2",
    "unix:gid:1",
    "unix:path:/bin/a",
    "unix:path:/bin/b",
    "cgroup:/x",
    "nonsense",
    "u:",
]


def named(name: str) -> SpiffeId:
    return SpiffeId.of("maple.local", "agent", name)


def workload(name: str, selectors: tuple[str, ...], found: str, pid: int | None, start: int | None) -> Workload:
    return Workload(
        named(name),
        name,
        Kind.AGENT,
        "ada",
        "",
        "",
        "private",
        (Capability.ACT,),
        selectors=selectors,
        pid=pid,
        start=start,
        found=found,
    )


WORKLOADS = st.builds(
    workload,
    st.sampled_from([f"w{number}" for number in range(8)]),
    st.lists(st.sampled_from(FEW), max_size=3).map(tuple),
    st.sampled_from([REGISTERED, "discovered"]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 10, 20]),
)
PROCESSES = st.builds(
    lambda pid, start, uid, exe, cgroups: dataclasses.replace(
        ME, pid=pid, start=start, uid=uid, gid=1, exe=exe, exe_deleted=False, cgroups=cgroups, groups=(5, 5)
    ),
    st.sampled_from([1, 2]),
    st.sampled_from([10, 20]),
    st.sampled_from([1, 2]),
    st.sampled_from([None, "/bin/a", "/bin/b"]),
    st.sampled_from([None, (("", "/x"),)]),
)
CHANGES = st.lists(st.one_of(WORKLOADS, st.sampled_from([named(f"w{number}") for number in range(8)])), max_size=24)


def found(process: Process, workloads: Enrolled) -> Workload | str | None:
    try:
        return workloads.of(process)
    except AttestationError:
        return "two"


def searched(process: Process, workloads: dict[SpiffeId, Workload]) -> Workload | str | None:
    try:
        return workload_of(process, workloads.values())
    except AttestationError:
        return "two"


@settings(deadline=None)
@given(changes=CHANGES, process=PROCESSES)
def test_it_finds_whom_a_search_through_all_finds(changes: list[Workload | SpiffeId], process: Process) -> None:
    enrolled, plain = Enrolled(), dict[SpiffeId, Workload]()
    for change in changes:
        if isinstance(change, SpiffeId):
            enrolled.pop(change, None)
            plain.pop(change, None)
        else:
            enrolled[change.spiffe_id] = plain[change.spiffe_id] = change
        assert list(enrolled.items()) == list(plain.items())
        assert found(process, enrolled) == searched(process, plain)


@settings(deadline=None)
@given(before=st.lists(WORKLOADS, max_size=8), after=CHANGES, process=PROCESSES)
def test_a_copy_goes_its_own_way(before: list[Workload], after: list[Workload | SpiffeId], process: Process) -> None:
    enrolled = Enrolled(before)
    rows, answer, other = dict(enrolled), found(process, enrolled), enrolled.copy()
    for change in after:
        if isinstance(change, SpiffeId):
            other.pop(change, None)
        else:
            other[change.spiffe_id] = change
    assert dict(enrolled) == rows
    assert found(process, enrolled) == answer


def test_only_those_are_looked_at_that_share_a_selector() -> None:
    """10,000 agents of one user and one interpreter, told apart by their scripts."""
    common = (f"unix:uid:{ME.uid}", f"unix:sha256:{ME.exe_sha256}")
    rows = [
        workload(f"a{number}", (*common, f"cgroup:/agent/{number}"), REGISTERED, None, None)
        for number in range(10_000)
    ]
    enrolled = Enrolled(rows)
    me = dataclasses.replace(ME, cgroups=(("", "/agent/7777"),))
    assert enrolled.of(me) == rows[7777]
    most = max(len(together) for together in enrolled._by_place.values())
    assert most <= 2, "one place is shared by many"


def test_one_that_is_not_there_cannot_be_taken_away() -> None:
    with pytest.raises(KeyError):
        del Enrolled()[named("w1")]


def test_a_process_that_names_a_group_twice_is_one_workload() -> None:
    row = workload("w1", ("unix:supplementary_gid:5",), REGISTERED, None, None)
    assert Enrolled([row]).of(dataclasses.replace(ME, groups=(5, 5))) == row
