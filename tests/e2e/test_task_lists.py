"""Tasks of profiles on the running program: what they list is kept, edits count, an agent ends its task."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import bearer, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, fake, guarding
from tests.e2e.test_servers_come_and_go import within
from tests.e2e.test_tasks import PIECE_SECONDS, streaming

PORT = 33200
MINE = 'actions = ["infer", "list"]\nseconds = 600\n[budget]\ncalls = 50\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with fake("vllm", tmp_path_factory.mktemp("vllm"), "--delay", str(PIECE_SECONDS)) as one:
        yield one


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory, server: Recorded) -> Iterator[Remit]:
    with guarding(tmp_path_factory.mktemp("lists") / "state", PORT, server.address) as remit:
        yield remit


def start(remit: Remit, *said: str) -> tuple[dict[str, Any], str]:
    """A task on the one server, as it is told, and its token."""
    name = remit.ready["guarded"][0]["name"]
    answer = json.loads(remit.run("task", "start", name, "--json", *said).stdout)
    return answer["task"], answer["token"]


def refused(remit: Remit, *said: str) -> str:
    done = remit.run("task", "start", remit.ready["guarded"][0]["name"], *said, check=False)
    assert done.returncode in {1, 2, 3}, done.stdout
    return done.stderr


def warning(remit: Remit) -> str:
    return str(json.loads(remit.run("status", "--json").stdout)["policies"]["warning"])


def test_every_field_of_a_task_outlives_a_restart(tmp_path: Path, server: Recorded) -> None:
    with guarding(tmp_path / "state", PORT + 20, server.address) as remit:
        tool = 'files/read_file arguments.path = {beneath = ["/home/ada"]}'
        task, token = start(remit, "--profile", "coding", "--tool", tool, "--tool", "git/log", "--calls", "9")
        remit.run("task", "extend", task["id"], "--for", "2h", "--calls", "10")
        [before] = json.loads(remit.run("task", "list", "--json").stdout)
    assert (before["profile"], before["budget"]["calls"], before["ceiling"]) == ("coding", 10, "internal")
    assert [one["tool"] for one in before["tools"]] == ["files/read_file", "git/log"]
    assert before["expires"] - before["started"] > 7_000
    with guarding(tmp_path / "state", PORT + 20, server.address) as remit:
        [after] = json.loads(remit.run("task", "list", "--json").stdout)
        assert {**after, "left": 0} == {**before, "left": 0}
        assert curl(*bearer(token), remit.ready["guarded"][0]["base_url"] + "/models").status == 200


def test_a_profile_is_in_force_as_soon_as_it_loads_and_the_last_good_ones_stay(remit: Remit) -> None:
    assert "there is no profile `mine`" in refused(remit, "--profile", "mine")
    mine = remit.state / "policies/profiles/mine.toml"
    mine.write_text(MINE)
    within(5, lambda: "no profile `mine`" not in refused(remit, "--profile", "mine", "--for", "1h"))
    assert "lasts 10m at most" in refused(remit, "--profile", "mine", "--for", "1h")
    task, _ = start(remit, "--profile", "mine", "--for", "1m")
    assert (task["actions"], task["budget"]) == (["infer", "list"], {"calls": 50})
    mine.write_text(MINE.replace("seconds", "secconds"))
    within(5, lambda: warning(remit) == "profiles/mine.toml:2:1: `secconds` means nothing")
    assert start(remit, "--profile", "mine")[0]["budget"] == {"calls": 50}, "the last good one"
    mine.write_text(MINE.replace("50", "5"))
    within(5, lambda: warning(remit) == "")
    narrower = remit.run("task", "extend", task["id"], "--for", "5m", check=False)
    assert (narrower.returncode, "`calls` is 50, and the profile `mine` has 5" in narrower.stderr) == (3, True)


def test_the_exit_of_its_agent_ends_a_task_and_its_open_streams(remit: Remit) -> None:
    with subprocess.Popen(["sleep", "60"]) as agent:
        try:
            task, token = start(remit, "--allow", "infer", "--pid", str(agent.pid))
            assert task["launched"][0] == agent.pid
            with streaming(remit.ready["guarded"][0], token) as stream:
                agent.kill()
                agent.wait()
                died = time.monotonic()
                stream.wait()
                assert not stream.whole
                assert stream.ended - died < 1
        finally:
            agent.kill()
    shown = json.loads(remit.run("task", "show", task["id"], "--json").stdout)
    assert shown["running"] is False
    over = refused(remit, "--allow", "infer", "--pid", str(agent.pid))
    assert f"process {agent.pid} can't be looked at" in over


def test_what_is_extended_is_not_cut_at_its_old_end(remit: Remit) -> None:
    task, token = start(remit, "--allow", "infer", "--for", "4s")
    with streaming(remit.ready["guarded"][0], token) as stream:
        remit.run("task", "extend", task["id"], "--for", "1m")
        time.sleep(max(0.0, task["expires"] - time.time()) + 1)
        assert stream.ended == 0
        remit.run("task", "end", task["id"])


def test_a_task_for_one_agent_is_nobody_else_s(remit: Remit) -> None:
    remit.run("workload", "add", "bot", "--kind", "agent", "--selector", "unix:path:/usr/bin/no-such-agent",
              "--selector", "unix:uid:0")  # fmt: skip
    task, token = start(remit, "--allow", "list", "--agent", "bot")
    assert [one.rpartition("/")[2] for one in task["chain"]] == ["bot"]
    reply = curl(*bearer(token), remit.ready["guarded"][0]["base_url"] + "/models")
    assert reply.status == 401
    assert "handed to" in reply.json["error"]["message"]
