"""Installing for the whole machine, and putting every file back: compared by a snapshot of the whole tree."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.installed import install, snapshot
from tests.system.machine import Machine, can_make_machines, machine

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="needs root, and the tools that make machines")

REMIT = "/usr/local/bin/remit"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as made:
        yield made


def test_every_file_is_put_back_byte_for_byte(host: Machine) -> None:
    before = snapshot(host)
    install(host)
    assert host.run(REMIT, "--version", user="ada").stdout.startswith("remit ")
    assert host.run("stat", "-c", "%U %a", "/var/lib/remit", "/etc/remit", "/opt/remit").stdout.split("\n")[:3] == [
        "remit 700",
        "root 750",
        "root 755",
    ]
    assert (
        host.run(
            "find", "/opt/remit", "(", "!", "-uid", "0", "-o", "-perm", "/022", "-a", "!", "-type", "l", ")"
        ).stdout
        == ""
    )
    host.run("touch", "/var/lib/remit/state.db")
    said = host.run(REMIT, "uninstall").stderr
    assert "uninstalled" in said
    assert snapshot(host) == before


def test_installing_twice_changes_nothing_more(host: Machine) -> None:
    install(host)
    once = snapshot(host)
    install(host)
    assert snapshot(host) == once
