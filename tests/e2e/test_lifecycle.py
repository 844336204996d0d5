"""A workload's life on the running program: what is suspended or retired is so at once, and stays so."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, bearer, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import guarded_fakes, guarding, start_task
from tests.e2e.test_servers_come_and_go import Running, within
from tests.e2e.test_tasks import PIECE_SECONDS, streaming

PORT = 29400
CUT_SECONDS = 1.0  # after the command has said so


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    with guarded_fakes(tmp_path_factory.mktemp("life"), PORT, "vllm", delay=PIECE_SECONDS) as (remit, _):
        yield remit


@pytest.fixture
def server(remit: Remit) -> Iterator[dict[str, Any]]:
    """The guarded server; whatever a test did, it is active again for the next one."""
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    yield guarded
    if state(remit, guarded["name"]) == "suspended":
        move(remit, "resume", guarded["name"])


def move(remit: Remit, verb: str, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(remit.run("workload", verb, name, "--json").stdout)
    assert not answer["pending"]
    return answer


def state(remit: Remit, name: str) -> str:
    return str(json.loads(remit.run("workload", "show", name, "--json").stdout)["state"])


def records(remit: Remit) -> list[dict[str, Any]]:
    lines = remit.run("audit", "tail", "-n", "1000", "--json").stdout.splitlines()
    return [json.loads(line)["record"] for line in lines]


def begun(remit: Remit, server: dict[str, Any]) -> bool:
    """Whether a call to it is under way."""
    rows = [row for row in records(remit) if row["kind"] == "start" and row["resource"] == server["spiffe_id"]]
    ended = {row["id"] for row in records(remit) if row["kind"] == "end"}
    return any(row["id"] not in ended and row["outcome"] == "allowed" for row in rows)


def hello(server: dict[str, Any]) -> Reply:
    return curl(server["url"] + CHAT, *chat("hello"))


def test_suspending_cuts_open_streams_ends_tasks_and_refuses_the_next_request(
    remit: Remit, server: dict[str, Any]
) -> None:
    _, token = start_task(remit, server["name"], "infer")
    with streaming(server, "unused") as own, streaming(server, token) as tasked:
        answer = move(remit, "suspend", server["name"])
        told = time.monotonic()
        refused = hello(server)
        for stream in (own, tasked):
            stream.wait()
            assert not stream.whole
            assert stream.ended - told < CUT_SECONDS
    assert answer["workload"]["possible"] == ["resume", "transfer", "retire"]
    assert (refused.status, refused.code) == (403, "not-active")
    message = refused.json["error"]["message"]
    assert f"{server['name']} is suspended until its owner, {server['owner']}, or root resumes it" in message
    assert "remit workload" not in refused.body.decode()
    assert curl(*bearer(token), server["url"] + CHAT, *chat("hello")).status == 401
    assert remit.run("task", "list", "--json").stdout.strip() == "[]"
    move(remit, "resume", server["name"])
    assert hello(server).status == 200
    assert curl(*bearer(token), server["url"] + CHAT, *chat("hello")).status == 401, "an ended task stays ended"


def test_a_call_that_waits_for_its_answer_is_refused_when_it_is_cut(remit: Remit, server: dict[str, Any]) -> None:
    os.kill(server["pid"], signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(hello, server)
            within(5, lambda: begun(remit, server))
            move(remit, "suspend", server["name"])
            refused = waiting.result(CUT_SECONDS)
    finally:
        os.kill(server["pid"], signal.SIGCONT)
    assert (refused.status, refused.code) == (403, "ended-meanwhile")
    assert refused.headers["remit-decision"] in refused.body.decode()
    end = [row for row in records(remit) if row["kind"] == "end" and row["id"] == refused.headers["remit-decision"]]
    assert [row["outcome"] for row in end] == ["cut"]


def test_no_task_is_started_on_what_is_suspended(remit: Remit, server: dict[str, Any]) -> None:
    move(remit, "suspend", server["name"])
    told = remit.run("task", "start", server["name"], "--allow", "infer", check=False)
    assert (told.returncode, "no task can be started" in told.stderr) == (3, True)


def test_it_stays_suspended_when_control_is_killed(remit: Remit, server: dict[str, Any]) -> None:
    move(remit, "suspend", server["name"])
    os.kill(remit.ready["pid"], signal.SIGKILL)
    remit.event("ready")
    assert remit.ready["guarded"][0]["state"] == "suspended"
    assert hello(server).code == "not-active"
    move(remit, "resume", server["name"])
    within(5, lambda: hello(server).status == 200)


def test_retiring_cuts_open_streams_too_and_outlasts_kill_9(tmp_path: Path) -> None:
    with guarded_fakes(tmp_path, PORT + 70, "vllm", delay=PIECE_SECONDS) as (remit, _):
        server = remit.ready["guarded"][0]
        with streaming(server, "unused") as own:
            move(remit, "retire", server["name"])
            told = time.monotonic()
            own.wait()
            assert not own.whole
            assert own.ended - told < CUT_SECONDS
        os.kill(remit.ready["pid"], signal.SIGKILL)
        remit.event("ready")
        assert state(remit, server["name"]) == "retired"
        assert hello(server).code == "not-active"


def test_each_move_is_in_the_log_with_who_made_it(remit: Remit, server: dict[str, Any]) -> None:
    move(remit, "suspend", server["name"])
    acts = [row for row in records(remit) if row["kind"] == "act"]
    whats = [row["what"] for row in acts if row["subject"] == server["spiffe_id"]]
    assert whats[:3] == ["workload.enrolled", "workload.owned", "workload.activated"]
    [last] = [row for row in acts if row["what"] == "workload.suspended"][-1:]
    assert last["person"]
    assert last["facts"] == {"from": "active", "to": "suspended", "by": "its owner", "proof": "uid"}


def test_what_is_declared_is_judged_by_policies_at_once_also_for_streams(
    remit: Remit, server: dict[str, Any]
) -> None:
    with streaming(server, "unused") as stream:
        remit.run("workload", "set", server["name"], "--purpose", "tickets")
        remit.run("workload", "set", server["name"], "--environment", "prod")  # where a model must have a digest
        told = time.monotonic()
        stream.wait()
        assert not stream.whole
        assert stream.ended - told < CUT_SECONDS
    try:
        assert (hello(server).status, hello(server).code) == (403, "no-unknown-model-in-prod")
    finally:
        remit.run("workload", "set", server["name"], "--environment", "dev", "--purpose", "")
    assert hello(server).status == 200


def test_retired_is_final_for_its_address_too(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = Running("vllm")
        stack.callback(server.kill)
        with guarding(tmp_path / "state", PORT + 50, server.address) as remit:
            [guarded] = remit.ready["guarded"]
            name = guarded["name"]
            assert hello(guarded).status == 200
            move(remit, "retire", name)
            assert hello(guarded).code == "not-active"
            for verb in ("own", "activate", "suspend", "resume", "retire"):
                told = remit.run("workload", verb, name, check=False)
                assert (told.returncode, "which is final" in told.stderr) == (3, True)
        restore_as_active(tmp_path / "state" / "state.db")
        server.kill()
        server.start("vllm")  # a new process, a new Remit, an older state: the same workload
        with guarding(tmp_path / "state", PORT + 50, server.address) as remit:
            assert [(one["name"], one["state"]) for one in remit.ready["guarded"]] == [(name, "retired")]
            assert hello(remit.ready["guarded"][0]).code == "not-active"
            server.kill()
            server.start("lmstudio")  # another kind of server at its address: nobody has answered for that
            within(8, lambda: known(remit, "discovered"))
            found = known(remit, "discovered")
            assert (found[0]["owner"], found[0]["possible"]) == ("", ["own", "retire"])
            door = next(one for one in guarded_now(remit) if one["name"] == found[0]["name"])
            assert curl(door["base_url"] + "/models").code == "not-active"
            assert move(remit, "own", door["name"])["workload"]["owner"] == guarded["owner"]
            assert curl(door["base_url"] + "/models").code == "not-active"
            assert move(remit, "activate", door["name"])["workload"]["state"] == "active"
            assert curl(door["base_url"] + "/models").status == 200
            assert [one["name"] for one in known(remit, "retired")] == [name]


def restore_as_active(path: Path) -> None:
    """The state as a backup of it would be that was made before any workload was retired."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        older = "json_set(record, '$.state', 'active', '$.state_since', json_extract(record, '$.enrolled_at'))"
        assert database.execute(f"update workloads set state = 'active', record = {older}").rowcount == 1
        database.commit()


def known(remit: Remit, state: str) -> list[dict[str, Any]]:
    rows = json.loads(remit.run("workload", "list", "--json").stdout)
    return [row for row in rows if row["state"] == state]


def guarded_now(remit: Remit) -> list[dict[str, Any]]:
    guarded: list[dict[str, Any]] = json.loads(remit.run("status", "--json").stdout)["guarded"]
    return guarded
