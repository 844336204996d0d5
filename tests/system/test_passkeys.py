"""Passkeys in system mode: the first takes its person's password, and only their own browser can use it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.chromium import CHROMIUM, Chromium
from tests.system.machine import PASSWORDS, Machine, can_make_machines, machine
from tests.system.running import SystemRemit, put_code, put_places
from tests.system.terminals import ALLOWED, Terminal, put_keyboard

pytestmark = [
    pytest.mark.long,  # a machine, and a browser for each of two people
    pytest.mark.skipif(not can_make_machines(), reason="only root can make machines"),
    pytest.mark.skipif(
        not CHROMIUM.exists() and os.environ.get("REMIT_TEST_PEERS") != "required", reason="no Chromium here"
    ),
]
LINK = r"http://localhost:\d+/\S+"
CONFIG = f"""
[roles]
administrator = ["ada"]
[discovery]
look = false
[proof]
terminals = ["{ALLOWED}"]
[proof.acts]
"task.start" = "passkey"
"""


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemRemit]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        put_keyboard(made)
        put_places(made, CONFIG)
        running = SystemRemit(made)
        try:
            running.event("ready")
            yield running
        finally:
            running.stop()


def browser_of(machine: Machine, user: str) -> Chromium:
    machine.run("sh", "-c", "mkdir -p /tmp/$USER-profile", user=user)
    return Chromium(Path(f"/tmp/{user}-profile"), lambda *command: machine.start(*command, user=user))


def test_a_passkey_is_added_by_password_and_used_by_its_person_alone(remit: SystemRemit) -> None:
    [server] = remit.said("ada", "workload", "list")
    terminal = Terminal(remit.machine, "ada")
    try:
        with browser_of(remit.machine, "ada") as adas, browser_of(remit.machine, "bob") as bobs:
            terminal.shows("> ")
            terminal.run("remit passkey add laptop")
            seen = terminal.shows("password of ada")
            assert "passkey.add" in seen
            assert "label: laptop" in seen
            terminal.press(PASSWORDS["ada"] + "\n")
            link = terminal.shows(LINK + r"\r").split()[-1]
            bobs.open(link)
            assert "nothing waits here for this account" in bobs.run("document.body.innerText")
            adas.open(link)
            assert adas.click("add").startswith("Added.")
            assert terminal.said()[0] == 0
            terminal.run(f"remit task start {server['name']} --allow infer --for 5m")
            link = terminal.shows(LINK + r"\r").split()[-1]
            bobs.open(link)
            assert "nothing waits here for this account" in bobs.run("document.body.innerText")
            assert bobs.run("document.querySelectorAll('button').length") == 0
            adas.open(link)
            assert adas.click("prove").startswith("Allowed.")
            status, said = terminal.said()
            assert status == 0, said
    finally:
        terminal.close()
    rows = remit.machine.run("remit", "audit", "tail", "--json", "-n", "500").stdout.splitlines()
    acts = [one for one in (json.loads(row)["record"] for row in rows) if one.get("kind") == "act"]
    [added] = [one["facts"] for one in acts if one["what"] == "passkey.added"]
    assert added["proof"] == "password"
    proved = [(one["subject"], one["facts"]["kind"]) for one in acts if one["what"] == "person.proved"]
    assert proved == [("passkey.add", "password"), ("task.start", "passkey")]
