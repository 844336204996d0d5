"""Break-glass for a whole machine whose control can't run: by root and the sealed code, for one person."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.emergency import REASON, EmergencyHeld
from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import PYTHON, put_code, put_places

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

TESTS = Path(__file__).parents[1]
CONFIG = """
[discovery]
look = false
servers = ["http://127.0.0.1:8000"]
[gateway]
port = 7400
"""
BROKEN = "mkdir -p /etc/remit/policies && echo 'permit (everything);' > /etc/remit/policies/mine.cedar"
FULL = """
set -e
mkdir /tmp/kept
cp -a /var/lib/remit/. /tmp/kept/
mount -t tmpfs -o size=2m,mode=700 tmpfs /var/lib/remit
cp -a /tmp/kept/. /var/lib/remit/
chown remit:remit /var/lib/remit
dd if=/dev/zero of=/var/lib/remit/filler bs=4096 2>/dev/null || true
"""


@dataclass(frozen=True)
class Broken:
    """A machine on which Remit was installed and can't start, and the code that root wrote down."""

    machine: Machine
    code: str

    @contextlib.contextmanager
    def held(self, *arguments: str) -> Iterator[EmergencyHeld]:
        holding = EmergencyHeld(self.machine, self.code, *arguments)
        try:
            yield holding
        finally:
            holding.stop()

    def call(self, user: str) -> str:
        """The head of the reply to a call of `user`'s."""
        url = "http://127.0.0.1:7400/v1/models"
        return self.machine.run("curl", "-s", "-D", "-", "-o", "/dev/null", url, user=user, check=False).stdout

    def listed(self) -> list[dict[str, str]]:
        said = self.machine.run("remit", "break-glass", "list", "--json").stdout
        openings: list[dict[str, str]] = json.loads(said)["openings"]
        return openings


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        put_places(made, CONFIG)
        made.run("sh", "-c", f"mkdir -p /opt/checks/tests; mount --bind {TESTS} /opt/checks/tests")
        fake = ("env", "PYTHONPATH=/opt/checks", PYTHON, "-m", "tests.fakes.fake_vllm", "--port", "8000")
        server = subprocess.Popen(made.command(*fake, user="bob"), stdout=subprocess.PIPE, env=made.environ("bob"))
        assert server.stdout is not None
        assert "listening" in json.loads(server.stdout.readline())
        code = made.run("remit", "break-glass", "seal").stdout.strip()
        made.run("sh", "-c", BROKEN)
        try:
            yield Broken(made, code)
        finally:
            made.run("pkill", "-f", "tests.fakes", check=False)
            server.communicate(timeout=10)


def test_control_does_not_start_and_nobody_but_root_opens(here: Broken) -> None:
    up = here.machine.run("remit", "up", "--system", check=False)
    assert up.returncode == 2
    assert "mine.cedar" in up.stdout + up.stderr
    command = ("remit", "break-glass", "open", "--reason", REASON, "--code-stdin")
    refused = here.machine.run(*command, user="ada", stdin=here.code, check=False)
    assert refused.returncode == 1
    assert "root alone" in refused.stderr
    assert here.listed() == []


def test_root_opens_it_for_one_person(here: Broken) -> None:
    with here.held("--person", "ada", "--for", "60s") as holding:
        holding.event("ready")
        assert here.call("ada").startswith("HTTP/1.1 200")
        assert "remit-break-glass: ada until" in here.call("ada")
        others = here.call("bob")
        assert others.startswith("HTTP/1.1 403")
        assert "remit-break-glass: ada until" in others
        uid = here.machine.run("id", "-u", "remit").stdout.strip()
        pid = holding.pid_inside("remit.emergency --system")
        status = here.machine.path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        assert "CapEff:\t0000000000000000\n" in status
        shown = json.loads(here.machine.run("remit", "status", "--json", user="ada").stdout)
        assert shown["break_glass"]["open"]["person"] == "ada"
        refused = here.machine.run("remit", "break-glass", "close", user="bob", check=False)
        assert refused.returncode == 3, "no administrator"
    [opening] = here.listed()
    assert (opening["person"], opening["standing"]) == ("ada", "review due")
    owners = here.machine.run("sh", "-c", "stat -c %U /var/lib/remit/break-glass/*").stdout.split()
    assert set(owners) == {"remit"}


@pytest.mark.long
def test_a_wrong_code_of_roots_opens_nothing(here: Broken) -> None:
    wrong = "0000-0000-0000-0000-0000-0000-0000"
    command = ("remit", "break-glass", "open", "--reason", REASON, "--code-stdin")
    refused = here.machine.run(*command, stdin=wrong, check=False)
    assert refused.returncode in {2, 3}, refused.stderr
    assert here.machine.run("remit", "break-glass", "list", "--json").stdout.count("bg-") <= 1


@pytest.mark.long
def test_a_full_disk(here: Broken) -> None:
    here.machine.run("sh", "-c", FULL)
    try:
        with here.held("--person", "ada", "--for", "60s") as holding:
            holding.event("ready")
            assert "the log is not used" in str(holding.events)
            assert here.call("ada").startswith("HTTP/1.1 200")
        opening = here.listed()[-1]
        assert (opening["person"], opening["standing"]) == ("ada", "review due")
        assert "/var/tmp/remit-emergency-" in opening["through"]
    finally:
        here.machine.run("umount", "-l", "/var/lib/remit")
