"""Passkeys through the whole program: a person at a terminal, their browser, and a command that waits for them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Remit
from tests.e2e.on_terminal import OnTerminal
from tests.fakes.chromium import CHROMIUM, Chromium
from tests.faults.world import records

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and os.environ.get("REMIT_TEST_PEERS") != "required", reason="no Chromium here"
)
PORT = 17470
LINK = r"(http://localhost:\d+/\S+)"
CONFIG = f"""
[discovery]
look = false
[gateway]
port = {PORT}
[proof]
needs = "passkey"
[proof.acts]
stop = "uid"
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("state")
    (state / "config.toml").write_text(CONFIG)
    running = Remit(state)
    try:
        running.event("ready")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def person(strict: Remit, browser: Chromium) -> Remit:
    """An instance whose person has one passkey."""
    with OnTerminal(strict, "passkey", "add", "laptop") as adding:
        browser.open(adding.until(LINK))
        assert browser.click("add").startswith("Added.")
        status, said = adding.ended()
    assert (status, "added laptop" in said) == (0, True), said
    return strict


def guarded(remit: Remit) -> str:
    return str(remit.ready["guarded"][0]["name"])


def starting(remit: Remit, *more: str, out: Path | None = None) -> OnTerminal:
    return OnTerminal(remit, "task", "start", guarded(remit), "--allow", "infer", *more, out=out)


def test_the_first_passkey_takes_a_terminal_and_no_less(strict: Remit) -> None:
    refused = strict.run("passkey", "add", "theirs", check=False)
    assert refused.returncode == 3
    assert "`passkey.add` needs proof of a person (terminal)" in refused.stderr


def test_a_command_waits_for_the_page_and_goes_on(person: Remit, browser: Chromium, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with starting(person, "--purpose", "tidy <b>up</b>\u202e", "--json", out=out) as command:
        browser.open(command.until(LINK))
        text = browser.run("document.body.innerText")
        assert "task.start" in text
        assert "tidy <b>up</b>\\u{202e}" in text
        if os.environ.get("REMIT_PICTURES"):
            browser.picture(Path(os.environ["REMIT_PICTURES"]) / "page.png")
        assert browser.click("prove").startswith("Allowed.")
        status, said = command.ended()
    assert status == 0, said
    task = json.loads(out.read_text())["task"]
    assert task["proof"] == "passkey"
    person.run("task", "end", task["id"])
    proved = [one for one in records(person.state) if one["kind"] == "act" and one["what"] == "person.proved"]
    assert [(one["subject"], one["facts"]["kind"]) for one in proved] == [("task.start", "passkey")]


def test_a_refusal_in_the_page_ends_the_command(person: Remit, browser: Chromium) -> None:
    with starting(person) as command:
        browser.open(command.until(LINK))
        assert browser.click("refuse").startswith("Refused.")
        status, said = command.ended()
    assert status == 3
    assert "refused in the local page" in said
    assert json.loads(person.run("task", "list", "--json").stdout) == []


def test_a_command_without_a_terminal_waits_for_nobody(person: Remit) -> None:
    refused = person.run("task", "start", guarded(person), "--allow", "infer", check=False)
    assert refused.returncode == 3
    assert "needs proof of a person (passkey)" in refused.stderr
    assert "http://" not in refused.stderr


def test_ctrl_c_leaves_nothing_done(person: Remit) -> None:
    with starting(person) as command:
        command.until(LINK)
        command.interrupt()
        status, said = command.ended()
    assert status != 0
    assert "Traceback" not in said
    assert json.loads(person.run("task", "list", "--json").stdout) == []
