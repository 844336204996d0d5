"""Two people with a model server each, on a machine with one Remit: each has, sees and governs their own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import PYTHON, SystemRemit, put_code, put_places

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

TESTS = Path(__file__).parents[1]
CONFIG = """
[roles]
auditor = ["bob"]
[discovery]
look = false
servers = ["http://127.0.0.1:8000", "http://127.0.0.1:11434"]
[gateway]
port = 7400
[proof]
needs = "uid"
"""
SERVERS = {"ada": ("fake_vllm", 8000), "bob": ("fake_ollama", 11434)}


def module(machine: Machine, user: str, *arguments: str) -> list[str]:
    return machine.command("env", "PYTHONPATH=/opt/checks", PYTHON, "-m", *arguments, user=user)


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemRemit]:
    with machine(tmp_path_factory.mktemp("machine")) as here:
        put_code(here)
        here.run("sh", "-c", f"mkdir -p /opt/checks/tests; mount --bind {TESTS} /opt/checks/tests")
        put_places(here, CONFIG.replace('auditor = ["bob"]', 'auditor = ["carol"]'))
        servers = [
            subprocess.Popen(
                module(here, user, f"tests.fakes.{fake}", "--port", str(port)),
                stdout=subprocess.PIPE,
                env=here.environ(user),
            )
            for user, (fake, port) in SERVERS.items()
        ]
        for server in servers:
            assert server.stdout is not None
            assert "listening" in json.loads(server.stdout.readline())
        running = SystemRemit(here)
        try:
            running.event("ready")
            yield running
        finally:
            running.stop()
            here.run("pkill", "-f", "tests.fakes", check=False)
            for server in servers:
                server.communicate(timeout=10)


def guarded(remit: SystemRemit, user: str) -> dict[str, Any]:
    """What a person sees guarded, by its owner."""
    return {one["owner"]: one for one in remit.said(user, "status")["guarded"]}


def call(remit: SystemRemit, user: str, url: str) -> tuple[int, dict[str, Any]]:
    done = remit.machine.run("curl", "-s", "-w", "\n%{http_code}", f"{url}/v1/models", user=user)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_a_server_is_its_person_s_and_nobody_else_sees_it(remit: SystemRemit) -> None:
    assert set(guarded(remit, "root")) == {"ada", "bob"}
    for user in SERVERS:
        assert set(guarded(remit, user)) == {user}
        assert {one["owner"] for one in remit.said(user, "workload", "list")} == {user}
        headline = remit.machine.run("remit", "status", user=user).stdout.splitlines()[0]
        assert "this machine's, where you are a person" in headline


def test_each_calls_their_own_and_is_refused_at_the_other_s(remit: SystemRemit) -> None:
    every = guarded(remit, "root")
    for user, other in (("ada", "bob"), ("bob", "ada")):
        status, said = call(remit, user, every[user]["url"])
        assert status == 200, said
        status, said = call(remit, user, every[other]["url"])
        assert status == 403, said
        assert said["error"]["decision"]


def test_nobody_governs_another_s(remit: SystemRemit) -> None:
    name = guarded(remit, "ada")["ada"]["name"]
    for arguments in (
        ("workload", "suspend", name),
        ("workload", "own", name),
        ("task", "start", name, "--allow", "infer"),
    ):
        refused = remit.machine.run("remit", *arguments, user="bob", check=False)
        assert refused.returncode == 3, (arguments, refused.stdout, refused.stderr)
    assert guarded(remit, "ada")["ada"]["state"] == "active"


def test_nobody_learns_of_another_s_by_asking(remit: SystemRemit) -> None:
    name = guarded(remit, "ada")["ada"]["name"]

    def may(user: str, *asked: str) -> tuple[int, str]:
        done = remit.machine.run("remit", "can", *asked, user=user, check=False)
        return done.returncode, done.stdout + done.stderr

    assert may("ada", "ada", "infer", name)[0] == 0
    for asked in (("ada", "infer", name), ("bob", "infer", name)):
        code, said = may("bob", *asked)
        assert (code, "another person's" in said) == (3, True), said
    code, said = may("bob", "bob", "infer", "vllm")
    assert (code, name in said) == (1, False), said
    code, said = may("root", "root", "infer", "vllm")
    assert (code, name in said) == (1, True), said


def test_each_gets_an_svid_of_their_own(remit: SystemRemit) -> None:
    import base64

    for user in SERVERS:
        said = subprocess.run(
            module(remit.machine, user, "tests.e2e.spiffe_workload", "jwt", "checks"),
            capture_output=True,
            text=True,
            env=remit.machine.environ(user, SPIFFE_ENDPOINT_SOCKET="unix:///run/remit/workload.sock"),
            timeout=30,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        payload = said.stdout.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["sub"].endswith(f"/user/{user}"), claims


def test_an_account_made_meanwhile_is_a_person_too(remit: SystemRemit) -> None:
    remit.machine.run("useradd", "--create-home", "carol")
    seen = json.loads(
        remit.machine.run(
            "setpriv", "--reuid=carol", "--regid=carol", "--clear-groups", "remit", "status", "--json"
        ).stdout
    )
    assert seen["role"] == "auditor"
    assert {one["owner"] for one in seen["guarded"]} == {"ada", "bob"}


def test_a_person_s_own_remit_runs_beside_it(remit: SystemRemit) -> None:
    here = remit.machine
    config = "/home/ada/.config/remit"
    here.run("mkdir", "-p", config, user="ada")
    here.run(
        "sh",
        "-c",
        f"printf '[discovery]\\nlook = false\\n[gateway]\\nport = 7400\\n' > {config}/config.toml",
        user="ada",
    )
    own = here.start("remit", "up", "--json", "--owner", "ada", user="ada")
    try:
        assert own.stdout is not None
        ready: dict[str, Any] = {}
        while ready.get("event") != "ready":
            line = own.stdout.readline()
            assert line, own.stderr.read() if own.stderr else ""
            ready = json.loads(line)
        assert not remit.said("ada", "status")["shared"]
        assert remit.said("bob", "status")["shared"]
        [mine] = ready["guarded"]
        assert mine["url"] not in {one["url"] for one in guarded(remit, "root").values()}
    finally:
        here.run("pkill", "-TERM", "-u", "ada", "-f", "remit up", check=False)
        own.communicate(timeout=30)
    assert remit.said("ada", "status")["shared"], "the machine's again, when one's own has ended"
