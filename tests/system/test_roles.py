"""Who says which models are used, and who governs the machine, are two: two uids on one machine."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import SystemRemit, put_code, put_places

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

CONFIG = """
[roles]
administrator = ["ada"]
deployer = ["bob"]
auditor = ["carol"]
[discovery]
look = false
[proof]
needs = "uid"
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        put_places(made, CONFIG)
        yield made


@pytest.fixture(scope="module")
def remit(here: Machine) -> Iterator[SystemRemit]:
    running = SystemRemit(here)
    try:
        running.event("ready")
        yield running
    finally:
        running.stop()


def refused(remit: SystemRemit, user: str, *arguments: str) -> str:
    done = remit.machine.run("remit", *arguments, user=user, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    return done.stderr


def model(remit: SystemRemit, user: str) -> str:
    """The model of the server that is ada's, as administrator, once it is weighed."""
    end = time.monotonic() + 20
    while True:
        [found] = json.loads(remit.machine.run("remit", "model", "list", "--json", user=user).stdout)
        if "hashing" not in found["digest"]:
            return str(found["model"])
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_deployer_approves_models_and_does_not_govern_the_machine(remit: SystemRemit) -> None:
    assert remit.said("bob", "status")["duties"] == ["deployer"]
    assert remit.said("bob", "status")["role"] == "person"
    assert "you are a person and a deployer" in remit.machine.run("remit", "status", user="bob").stdout
    approved = remit.said("bob", "model", "approve", model(remit, "bob"))
    assert approved["digest"].startswith("sha256:")
    for arguments in (("down",), ("authority", "rotate"), ("workload", "suspend", approved["on"])):
        assert "this takes a" in (said := refused(remit, "bob", *arguments)) or "another person's" in said


def test_an_administrator_governs_the_machine_and_approves_no_model_not_even_of_their_own_server(
    remit: SystemRemit,
) -> None:
    name = model(remit, "ada")
    for user in ("ada", "root"):
        assert "this takes a deployer" in refused(remit, user, "model", "approve", name)
    remit.said("ada", "authority", "rotate")
    server = remit.said("ada", "status")["guarded"][0]["name"]
    assert remit.said("ada", "workload", "suspend", server)["workload"]["state"] == "suspended"
    remit.said("ada", "workload", "resume", server)


def test_a_tool_server_is_put_to_use_by_a_deployer(remit: SystemRemit) -> None:
    uid = remit.machine.run("id", "-u", "ada").stdout.strip()
    path = ("--selector", "unix:path:/usr/bin/sleep")
    added = remit.said(
        "ada", "workload", "add", "shell", "--kind", "tool_server", "--selector", f"unix:uid:{uid}", *path
    )
    assert added["workload"]["state"] == "owned"
    assert "this takes a deployer" in refused(remit, "ada", "workload", "activate", "shell")
    assert remit.said("bob", "workload", "activate", "shell")["workload"]["state"] == "active"
    remit.said("ada", "workload", "retire", "shell")


def test_one_person_with_two_accounts_has_neither_role_and_remit_does_not_start_so(remit: SystemRemit) -> None:
    name, uid = model(remit, "bob"), remit.machine.run("id", "-u", "bob").stdout.strip()
    remit.machine.run("useradd", "--non-unique", "--uid", uid, "--no-create-home", "carol")
    assert "this takes a deployer" in refused(remit, "bob", "model", "approve", name)
    said = f"`bob` of `roles.deployer` and `carol` of `roles.auditor` are one person (uid {uid})"
    while said not in remit.event("note", seconds=15)["text"]:
        pass
    assert any("are one person" in one for one in remit.said("ada", "status")["conflicts"])
    assert "roles.conflict" in remit.machine.run("remit", "audit", "tail", "-n", "50").stdout
    remit.stop()
    again = remit.machine.run("remit", "up", "--system", check=False)
    assert again.returncode != 0
    assert "are one person" in again.stdout + again.stderr
