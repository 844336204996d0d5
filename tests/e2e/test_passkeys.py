"""Passkeys through the whole program: a person at a terminal, their browser, and a command that waits for them."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Remit
from tests.e2e.on_terminal import OnTerminal
from tests.fakes.chromium import CHROMIUM, Chromium
from tests.faults.test_control_api import UnixConnection
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


def test_a_while_after_one_click_is_enough(person: Remit, browser: Chromium) -> None:
    kinds = []
    for deed in ("prove", "click"):
        with starting(person) as command:
            browser.open(command.until(LINK))
            assert browser.click(deed).startswith("Allowed.")
            status, said = command.ended()
        assert status == 0, said
        kinds.append(json.loads(person.run("task", "list", "--json").stdout)[0]["proof"])
        _end_all(person)
    assert kinds == ["passkey", "passkey"]


def test_another_passkey_takes_one_that_is_known(person: Remit, browser: Chromium) -> None:
    """Not the terminal that did for the first, nor a click."""
    with OnTerminal(person, "passkey", "add", "phone") as adding:
        link = adding.until(LINK)
        assert "/proof/" in link
        browser.open(link)
        assert "passkey.add" in browser.run("document.body.innerText")
        assert browser.run("!!document.querySelector('button[data-deed=click]')") is False
        assert browser.click("refuse").startswith("Refused.")
        assert adding.ended()[0] == 3
    assert [one["label"] for one in json.loads(person.run("passkey", "list", "--json").stdout)] == ["laptop"]


def test_what_another_process_asked_for_can_t_be_offered_or_asked_about(person: Remit, browser: Chromium) -> None:
    api = json.loads(person.run("status", "--json").stdout)["api"]
    with starting(person, "--purpose", "mine") as command:
        link = command.until(LINK)
        proof = link.rpartition("/")[2]
        assert call(api, "GET", f"/proofs/{proof}")[0] == 404
        body = {"on": guarded(person), "actions": ["infer"], "seconds": 1800, "purpose": "mine"}
        assert call(api, "POST", "/tasks", body, {"remit-proof": proof})[0] == 403
        browser.open(link)
        assert "mine" in browser.run("document.body.innerText")
        browser.click("refuse")
        assert command.ended()[0] == 3


def test_a_passkey_that_was_removed_proves_nothing_any_more(person: Remit, browser: Chromium) -> None:
    with OnTerminal(person, "passkey", "remove", "laptop") as removing:
        browser.open(removing.until(LINK))
        assert "passkey.remove" in browser.run("document.body.innerText")
        assert browser.click("prove").startswith("Allowed.")
        assert removing.ended()[0] == 0
    with starting(person) as command:
        status, said = command.ended()
    assert status == 3
    assert "passkey, and you have none that can be used here" in said
    assert "remit passkey add" in said.split("hint: ")[1]


def test_without_all_of_localhost_there_is_no_page(tmp_path: Path) -> None:
    """Somebody else on the other address of `localhost` would have the page's own origin."""
    with socket.create_server(("::1", PORT + 30 - 1), family=socket.AF_INET6):
        (tmp_path / "config.toml").write_text(CONFIG.replace(f"port = {PORT}", f"port = {PORT + 30}"))
        running = Remit(tmp_path)
        try:
            running.event("ready")
            with OnTerminal(running, "passkey", "add", "laptop") as adding:
                status, said = adding.ended()
        finally:
            running.stop()
    assert status == 1
    assert "the page of passkeys is not served" in said
    assert any("the page of passkeys is not served" in one.get("text", "") for one in running.events)
    assert f"[::1]:{PORT + 30 - 1}" in said or f"::1:{PORT + 30 - 1}" in said


def call(
    api: str, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = UnixConnection(api)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, target, payload, {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _end_all(remit: Remit) -> None:
    for task in json.loads(remit.run("task", "list", "--json").stdout):
        remit.run("task", "end", task["id"])
