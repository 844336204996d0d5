"""The condition of an instance: the grade of each server and of all, and what control says of it."""

import dataclasses
import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.config import Places
from remit.control.condition import USER_MODE_RAISES, USER_MODE_WHY, Condition, attestor_runs, raises, shown, why
from remit.control.fencing import NO_RIGHT, Fencing
from remit.control.raw_ports import Closing, raw_port
from remit.control.ways import Around
from remit.identity import SpiffeId
from remit.inventory import Capability, Kind, Workload
from remit.posture import Fact, Grade, grade
from remit.posture.grade import ATTESTOR, NEEDS, RAW_PORTS, SEPARATE_UID
from remit.sandbox.fence_line import Way

OWN = os.getuid()
SERVER = Workload(
    spiffe_id=SpiffeId.parse("spiffe://maple.local/inference/ollama-1"),
    name="ollama-1",
    kind=Kind.MODEL_SERVER,
    owner="ada",
    server="ollama",
    upstream="http://127.0.0.1:11434",
    reach="loopback",
    capabilities=(Capability.ACT,),
    uid=OWN,
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Workload]:
    """A server on a unix socket in a directory of Remit's own."""
    room = tmp_path / "own"
    room.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(room / "s"))
        (room / "s").chmod(0o666)
        yield dataclasses.replace(SERVER, upstream=f"unix:{room / 's'}")


def test_a_port_is_in_reach_whoever_serves_it() -> None:
    fact = raw_port(SERVER, OWN)
    assert (fact.holds, fact.evidence) == (False, "`ollama-1` answers any process at 127.0.0.1:11434")
    assert "system mode" in fact.raises


def test_a_socket_of_remits_own_is_not(served: Workload) -> None:
    assert raw_port(served, OWN).holds is True


def test_a_socket_is_no_better_than_whose_server_it_is(served: Workload) -> None:
    assert raw_port(dataclasses.replace(served, uid=OWN + 1), OWN).holds is False
    assert raw_port(dataclasses.replace(served, uid=None), OWN).holds is False


def test_a_socket_that_others_find_is_in_reach(served: Workload) -> None:
    path = Path(served.upstream.removeprefix("unix:"))
    for folder in (path.parent, *path.parent.parents[:3]):
        if folder.stat().st_uid == OWN:
            folder.chmod(folder.stat().st_mode | 0o011)
    above = [one for one in path.parents if not one.stat().st_mode & 0o011]
    assert raw_port(served, OWN).holds is bool(above)
    path.chmod(0o600)
    assert raw_port(served, OWN).holds is True
    path.unlink()
    assert raw_port(served, OWN).holds is None


def test_the_attestor() -> None:
    assert attestor_runs(None).holds is False
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert attestor_runs(child.pid).holds is (OWN == 0)
        child.communicate(b"\n")
    assert attestor_runs(child.pid).holds is False
    other = 65534 if OWN == 0 else None
    with subprocess.Popen(["/bin/sleep", "5"], user=other) as child:
        assert "may not look" in attestor_runs(child.pid).evidence
        child.kill()


def test_of_a_remit_that_runs_as_its_user(tmp_path: Path) -> None:
    condition = Condition(Places.of(tmp_path, {}))
    condition.look()
    found = condition.grade([SERVER])
    assert (found.letter, why(found), raises(found)) == ("C", USER_MODE_WHY, USER_MODE_RAISES)


def _all_but(*missing: str) -> list[Fact]:
    return [Fact(name, name not in missing, "seen", "do so") for name in NEEDS["B"]]


def test_each_server_has_its_grade_and_all_the_worst(served: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    condition = Condition(Places.of(Path("/nowhere"), {}))
    rest: Any = [fact for fact in _all_but() if fact.name not in {RAW_PORTS, ATTESTOR}]
    monkeypatch.setattr(condition, "_standing", rest)
    monkeypatch.setattr("remit.control.condition.attestor_runs", lambda _pid: Fact(ATTESTOR, True, "seen"))
    assert condition.grade([served]).letter == "B"
    assert condition.grade([SERVER]).letter == "C"
    assert condition.grade([served, SERVER]).letter == "C"
    assert condition.grade([]).letter == "C"
    both = condition.grade([served, SERVER])
    assert (why(both), raises(both)[:6]) == (f"because `{RAW_PORTS}` is false", "for B:")


def test_nothing_is_said_of_a_uid_that_is_unknown() -> None:
    unknown = grade([*_all_but(SEPARATE_UID)[1:], Fact(SEPARATE_UID, None, "?", "do so")])
    assert why(unknown) == f"because `{SEPARATE_UID}` is unknown"
    assert raises(Grade("A")) == ""


def test_other_peoples_servers_are_not_named() -> None:
    for values, word in (((True, True), "true"), ((True, None), "unknown"), ((None, False), "false")):
        rows = shown([], [Fact(RAW_PORTS, one, "`bobs` answers") for one in values])
        assert [(row["is"], row["evidence"]) for row in rows] == [(word, "other people's servers")]
    assert shown([]) == []


WAYS = Around(frozenset({Way.to(ipaddress.ip_address("127.0.0.1"), 11434)}))
INNER = Around(WAYS.own, frozenset({Way.to(ipaddress.ip_address("127.0.0.1"), 43567, besides=1001)}))
LOW = Around(frozenset({Way.to(ipaddress.ip_address("127.0.0.1"), 80)}))


@pytest.mark.parametrize(
    ("closing", "changed", "holds", "step"),
    [
        (Closing("local", WAYS, refused=True), {}, True, ""),
        (Closing("local", WAYS, refused=False), {}, False, "nft list"),
        (Closing("local", WAYS, False, NO_RIGHT), {}, False, "NET_ADMIN"),
        (Closing("open", WAYS, refused=False), {}, False, '"local"'),
        (Closing("local", LOW, refused=False), {}, False, "above port 1023"),
        (Closing("local", WAYS, refused=True), {"reach": "all"}, False, '"closed"'),
        (Closing("closed", WAYS, refused=True), {"reach": "all"}, True, ""),
        (Closing("local", WAYS, refused=True), {"exe": "/usr/bin/docker-proxy"}, None, "on this machine itself"),
        (Closing("local", INNER, refused=True), {"uid": 1001}, False, "account of its own"),
        (Closing("local", INNER, refused=True), {"uid": 998}, True, ""),
        (Closing("local", INNER, refused=True), {"uid": None}, False, "account of its own"),
    ],
)
def test_a_port_that_the_kernel_closes(
    closing: Closing, changed: dict[str, Any], holds: bool | None, step: str
) -> None:
    fact = raw_port(dataclasses.replace(SERVER, **changed), OWN, closing)
    assert (fact.holds, step in fact.raises) == (holds, True), fact
    assert "ollama-1" in fact.evidence


def test_what_was_not_looked_at_yet_is_not_closed() -> None:
    fencing = Fencing(None, "local", {}, frozenset, lambda _: None)
    assert raw_port(SERVER, OWN, fencing.closing(SERVER)).holds is False
