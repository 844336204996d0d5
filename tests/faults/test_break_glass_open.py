"""Break-glass while control runs: wrong codes, workloads that have the code, and what it is no proof for."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.persons import Act
from remit.persons.recovery_code import fresh_code
from tests.e2e.conftest import REMIT, Remit
from tests.faults.broken import HEADER, REASON, Sealed, held
from tests.faults.world import ask, running

UID = ("--selector", f"unix:uid:{os.getuid()}")
PROOF = '\n[proof]\nneeds = "passkey"\n[proof.acts]\n"break-glass.review" = "uid"\n"workload.add" = "uid"\n'


@pytest.fixture(scope="module")
def control(sealed: Sealed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sealed, Remit]]:
    """A control that takes no proof but a passkey, which nobody here has."""
    here = sealed.copy(tmp_path_factory.mktemp("control") / "state")
    config = here.state / "config.toml"
    config.write_text(config.read_text().split("\n[proof]")[0] + PROOF)
    with running(here.state) as remit:
        yield here, remit


def test_twenty_wrong_codes_keep_the_right_one_waiting_for_nothing(control: tuple[Sealed, Remit]) -> None:
    here, _ = control
    socket = str(here.state / "run" / "control.sock")
    bodies = [
        json.dumps({"reason": REASON, "seconds": 60, "code": fresh_code(bytes([number] * 17)).reveal()})
        for number in range(20)
    ]
    command = ["curl", "-s", "--unix-socket", socket, "-H", "content-type: application/json", "http://x/break-glass"]
    typing = [subprocess.Popen([*command, "-d", body], stdout=subprocess.PIPE, text=True) for body in bodies]
    try:
        deadline = time.monotonic() + 60
        while here.said("break-glass", "list")["wrong_codes"] < 20:
            assert time.monotonic() < deadline
        held_back = sum(one.poll() is None for one in typing)
        assert held_back >= 10, "their answers wait"
        began = time.monotonic()
        opened(here)
        assert time.monotonic() - began < 15
        assert sum(one.poll() is None for one in typing) > 0, "it did not wait for theirs"
    finally:
        for one in typing:
            one.kill()
            one.communicate()
    assert here.run("break-glass", "close").returncode == 0


def test_it_is_no_proof_for_any_act(control: tuple[Sealed, Remit]) -> None:
    """It opens calls to models, and nothing that widens what anybody may do."""
    here, remit = control
    server = str(remit.ready["guarded"][0]["name"])
    opened(here)
    try:
        for act, command in ACTS.items():
            refused = here.run(*(word.replace("SERVER", server) for word in command))
            assert refused.returncode == 3, (act, refused.stderr)
            assert f"`{act}` needs proof of a person" in refused.stderr, (act, refused.stderr)
    finally:
        here.run("break-glass", "close")


ACTS = {
    Act.TASK_START: ("task", "start", "SERVER", "--allow", "infer"),
    Act.WORKLOAD_RESUME: ("workload", "resume", "SERVER"),
    Act.WORKLOAD_ACTIVATE: ("workload", "activate", "SERVER"),
    Act.WORKLOAD_OWN: ("workload", "own", "SERVER"),
    Act.AUTHORITY_ROTATE: ("authority", "rotate"),
    Act.BREAK_GLASS_SEAL: ("break-glass", "seal"),
    Act.STOP: ("down",),
}


def test_a_governed_workload_that_has_the_code_is_refused(control: tuple[Sealed, Remit], tmp_path: Path) -> None:
    """By control while it runs; and, from its state, by an emergency instance."""
    here, _ = control
    agent = tmp_path / "agent"
    shutil.copy("/bin/bash", agent)
    added = here.run("workload", "add", "agent", "--kind", "agent", "--selector", f"unix:path:{agent}", *UID)
    assert added.returncode == 0, added.stderr
    typed = ("break-glass", "open", "--reason", REASON, "--code-stdin", "--state", str(here.state))
    done = subprocess.run(
        [str(agent), "-c", '"$@"; exit $?', "agent", REMIT, *typed],
        input=here.code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "a governed workload" in done.stderr
    copy = Sealed(tmp_path / "state", here.code, here.server, here.port + 40)
    shutil.copytree(here.state, copy.state, ignore=shutil.ignore_patterns("run", "lock"))
    text = (copy.state / "config.toml").read_text()
    (copy.state / "config.toml").write_text(text.replace(f"port = {here.port}", f"port = {copy.port}"))
    with held(copy, by=(str(agent), "-c", '"$@"; exit $?', "agent")) as holding:
        assert holding.process.wait(60) == 3
        assert "a governed workload" in holding.event("error")["message"]
    assert len(copy.listed()) == len(here.listed())


def opened(here: Sealed) -> None:
    done = here.run("break-glass", "open", "--reason", REASON, "--code-stdin", stdin=here.code)
    assert done.returncode == 0, done.stderr
    assert REASON in ask(here.port).headers[HEADER]
