"""`remit task run`: the task is the command's, known by the kernel's facts, and ends with it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, bearer, chat, curl
from tests.e2e.conftest import REMIT, Remit
from tests.e2e.servers import guarded_fakes
from tests.e2e.test_registered import add, who_called
from tests.e2e.test_servers_come_and_go import within

PORT = 31700
UID = f"unix:uid:{os.getuid()}"


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    with guarded_fakes(tmp_path_factory.mktemp("launched"), PORT, "vllm") as (remit, _):
        yield remit


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


def run(remit: Remit, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    name = remit.ready["guarded"][0]["name"]
    command = [REMIT, "task", "run", name, "--state", str(remit.state), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


@contextmanager
def running(remit: Remit, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A launched command that reads lines of shell from its input until it is closed."""
    name = remit.ready["guarded"][0]["name"]
    words = [REMIT, "task", "run", name, "--allow", "infer", "--state", str(remit.state), "--", *command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], line: str) -> str:
    """What a launched shell prints for one line of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def tasks(remit: Remit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(remit.run("task", "list", "--json").stdout)
    return rows


def hello(server: dict[str, Any], token: str) -> Reply:
    return curl(*bearer(token), server["url"] + CHAT, *chat("hello"))


def test_the_command_has_the_token_and_the_address_and_the_task_ends_with_it(
    remit: Remit, server: dict[str, Any]
) -> None:
    own = {**os.environ, "OPENAI_API_KEY": "sk-real", "ANTHROPIC_AUTH_TOKEN": "real", "KEPT": "yes"}
    done = run(remit, "--allow", "infer,list", "--for", "5m", "--", "env", "-0", env=own)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    token = found["REMIT_TASK_TOKEN"]
    assert token.startswith("remit_task_")
    assert {found["OPENAI_API_KEY"], found["ANTHROPIC_API_KEY"]} == {token}, "no real key is handed to it"
    assert (found["OPENAI_BASE_URL"], found["ANTHROPIC_BASE_URL"]) == (server["base_url"], server["url"])
    assert ("ANTHROPIC_AUTH_TOKEN" in found, found["KEPT"]) == (False, "yes")
    assert "may infer, list on" in done.stderr
    within(2, lambda: tasks(remit) == [])
    assert hello(server, token).status == 401


def test_it_is_the_same_process_that_runs_the_command_and_its_exit_is_its_own(remit: Remit) -> None:
    with running(remit, "sh") as process:
        assert said(process, "echo $$") == str(process.pid)
        [task] = tasks(remit)
        assert task["launched"][0] == process.pid
    assert run(remit, "--allow", "infer", "--", "sh", "-c", "exit 7").returncode == 7


def test_a_descendant_carries_the_task_as_a_selector_and_what_lost_its_parents_does_not(
    remit: Remit, server: dict[str, Any], tmp_path: Path
) -> None:
    script = tmp_path / "call.sh"
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
    script.write_text(f"cd {tmp_path}; curl -s -o $1.body -D $1 {server['url']}{CHAT} -d '{body}'; touch $1.done\n")

    def caller(name: str) -> str | None:
        within(10, (tmp_path / f"{name}.done").exists)
        lines = (tmp_path / name).read_text().splitlines()
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        return who_called(remit, Reply(0, 200, headers, b""))

    with running(remit, "sh") as process:
        pid = said(process, "echo $$")
        [task] = tasks(remit)
        selector = f"remit:task:{task['id']}"
        seen = json.loads(remit.run("whois", pid, "--json").stdout)["selectors"]
        assert selector in {one["selector"] for one in seen}
        worker = add(remit, "worker", UID, selector)
        said(process, f"sh {script} child; echo")
        assert caller("child") == worker["spiffe_id"]
        said(process, f"(setsid sh -c 'sleep 0.2; sh {script} orphan' &) > /dev/null; echo")
        assert caller("orphan") is None
        remit.run("task", "end", task["id"])
        said(process, f"sh {script} after; echo")
        assert caller("after") is None, "the selector ends with the task"


def test_what_was_launched_governs_nothing(remit: Remit, server: dict[str, Any]) -> None:
    command = [REMIT, "task", "start", server["name"], "--allow", "administer", "--state", str(remit.state)]
    done = run(remit, "--allow", "infer", "--", "sh", "-c", f"{' '.join(command)}; true")
    assert (done.stdout, "for which Remit launched it" in done.stderr) == ("", True), done.stderr


def test_what_exited_while_control_was_dead_has_no_task_when_it_is_back(remit: Remit, server: dict[str, Any]) -> None:
    with running(remit, "sh") as goes, running(remit, "sh") as stays:
        tokens = [said(one, "echo $REMIT_TASK_TOKEN") for one in (goes, stays)]
        os.kill(remit.ready["pid"], signal.SIGKILL)
        goes.kill()
        goes.wait()
        remit.event("ready")
        assert [task["launched"][0] for task in tasks(remit)] == [stays.pid]
        within(5, lambda: [hello(server, token).status for token in tokens] == [401, 200])
        stays.kill()
        stays.wait()
        within(2, lambda: hello(server, tokens[1]).status == 401)


def test_what_can_t_be_run_has_no_task(remit: Remit, tmp_path: Path) -> None:
    for words, problem in (
        (("--allow", "infer", "--", "no-such-program"), "`no-such-program` is no program here"),
        (("--allow", "fly", "--", "true"), "`fly` is no action"),
        (("--allow", "infer", "--for", "soon", "--", "true"), "`soon` is not a duration"),
    ):
        done = run(remit, *words)
        assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF, no more")
    broken.chmod(0o755)
    done = run(remit, "--allow", "infer", "--", str(broken))
    assert (done.returncode, "can't be run: Exec format error" in done.stderr) == (2, True), done.stderr
    within(2, lambda: tasks(remit) == [])


def test_the_end_says_why(remit: Remit) -> None:
    done = run(remit, "--allow", "infer", "--purpose", "tickets", "--", sys.executable, "-c", "pass")
    task = done.stderr.split()[1]
    within(2, lambda: tasks(remit) == [])
    rows = [json.loads(line)["record"] for line in remit.run("audit", "show", task, "--json").stdout.splitlines()]
    assert [row["what"] for row in rows] == ["task.started", "task.ended"]
    assert rows[0]["facts"]["pid"] > 0
    assert rows[1]["facts"]["why"] == "the process that it was launched for has exited"
