"""Where a terminal is asked for: a command without one changes nothing and says so; one on a real one acts."""

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import REMIT, Remit

CONFIG = """
[discovery]
look = false
[gateway]
port = 17450
[proof]
needs = "terminal"
[proof.acts]
"authority.rotate" = "passkey"
"session.begin" = "uid"
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


def on_a_terminal(remit: Remit, *arguments: str) -> tuple[int, str]:
    """Run a command in the foreground of a terminal of its own (`pty.fork` makes it a session's leader)."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(REMIT, [REMIT, *arguments, "--state", str(remit.state)], remit.environ)
    said = b""
    try:
        while piece := os.read(master, 65536):
            said += piece
    except OSError:  # EIO: the last one that had it open has ended (pty(7))
        pass
    finally:
        os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def guarded(remit: Remit) -> str:
    return str(remit.ready["guarded"][0]["name"])


def test_without_a_terminal_nothing_is_done(strict: Remit) -> None:
    refused = strict.run("task", "start", guarded(strict), "--allow", "infer", check=False)
    assert refused.returncode == 3
    assert "`task.start` needs proof of a person (terminal)" in refused.stderr
    assert "terminal" in refused.stderr.split("hint: ")[1]
    assert json.loads(strict.run("task", "list", "--json").stdout) == []


def test_on_a_terminal_it_is_done_and_recorded_as_that(strict: Remit) -> None:
    code, said = on_a_terminal(strict, "task", "start", guarded(strict), "--allow", "infer", "--json")
    assert code == 0, said
    task = json.loads(said)["task"]
    assert task["proof"] == "terminal"
    strict.run("task", "end", task["id"])


def test_an_act_for_which_more_is_asked_takes_no_terminal(strict: Remit) -> None:
    code, said = on_a_terminal(strict, "authority", "rotate")
    assert code == 3
    assert "`authority.rotate` needs proof of a person (passkey, and you have none that can be used here)" in said


def test_an_act_for_which_less_is_asked_takes_less(strict: Remit) -> None:
    assert json.loads(strict.run("login", "--json").stdout)["session"]["proof"] == "uid"
    strict.run("logout")


@pytest.mark.parametrize("offered", ["nothing", "x" * 500])
def test_an_invented_proof_is_refused_and_on_record(strict: Remit, offered: str) -> None:
    from tests.faults.test_control_api import UnixConnection

    connection = UnixConnection(str(Path(strict.ready["api"]) if "api" in strict.ready else _api(strict)))
    body = json.dumps({"on": guarded(strict), "actions": ["infer"], "seconds": 60})
    connection.request("POST", "/tasks", body, {"content-type": "application/json", "remit-proof": offered})
    answer = connection.getresponse()
    said = json.loads(answer.read())["error"]
    connection.close()
    assert (answer.status, "no act waits for this proof" in said["message"]) == (404, True)
    assert "person.refused" in strict.run("audit", "tail", "--json").stdout


def _api(remit: Remit) -> str:
    return str(json.loads(remit.run("status", "--json").stdout)["api"])
