"""The unit under a real systemd: started by the installation, again when it is killed, gone when uninstalled."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.booted import Booted, booted, can_boot
from tests.system.installed import REMIT
from tests.system.machine import can_make_machines

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (can_make_machines() and can_boot()), reason="needs root, systemd and cgroup2"),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Booted]:
    place = tmp_path / "machine"
    place.mkdir()
    with booted(place) as made:
        made.until("", "systemctl", "is-system-running")
        yield made


def of_checkout(host: Booted, *arguments: str) -> str:
    done = host.run(sys.executable, "-B", "-I", "-c", REMIT, *arguments)
    return done.stdout + done.stderr


def test_it_is_started_started_again_and_gone(host: Booted) -> None:
    assert "started by systemd" in of_checkout(host, "install", "--system", "--keep-tiocsti")
    host.until("administrator", "remit", "status")
    assert "true     separate uid" in host.run("remit", "doctor").stdout
    facts = host.run("systemctl", "show", "remit", "-p", "ActiveState,UnitFileState,NRestarts").stdout
    assert set(facts.split()) == {"ActiveState=active", "UnitFileState=enabled", "NRestarts=0"}
    limits = host.run("sh", "-c", "grep -h NoNewPrivs /proc/$(pgrep -of 'remit up')/status").stdout
    assert limits.split() == ["NoNewPrivs:", "1"]

    host.run("pkill", "-KILL", "-of", "remit up --system")
    host.until("NRestarts=1", "systemctl", "show", "remit", "-p", "NRestarts")
    host.until("administrator", "remit", "status")

    host.run("systemctl", "stop", "remit")
    assert host.run("pgrep", "-f", "remit.app", check=False).stdout == ""
    assert "every file is as it was" in of_checkout(host, "uninstall", "--with-log")
    assert "not-found" in host.run("systemctl", "show", "remit", "-p", "LoadState").stdout
