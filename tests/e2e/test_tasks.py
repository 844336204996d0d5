"""A task on the running program: what its token opens, and that all of it ends when the task does."""

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import CHAT, bearer, chat, curl, x_api_key
from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, guarded_fakes, guarding, start_task

PORT = 29200
PIECE_SECONDS = 0.02
LONG = "on and on it goes " * 200  # 900 pieces: 18 s unless it is cut
TOKEN = re.compile(r"remit_task_[0-9A-Za-z]+")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remit, Recorded]]:
    with guarded_fakes(tmp_path_factory.mktemp("tasks"), PORT, "vllm", delay=PIECE_SECONDS) as (remit, fakes):
        yield remit, fakes["vllm"]


@pytest.fixture
def remit(world: tuple[Remit, Recorded]) -> Remit:
    return world[0]


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


class Stream:
    """A streamed chat that is read in a thread. `ended` is the monotonic time at which it was over."""

    def __init__(self, server: dict[str, Any], token: str) -> None:
        self._connection = http.client.HTTPConnection(server["url"].removeprefix("http://"), timeout=30)
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": LONG}], "stream": True})
        self._connection.request("POST", CHAT, body, {"authorization": f"Bearer {token}"})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        assert self._answer.readline().startswith(b"data: ")
        self.whole, self.ended = False, 0.0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.whole = b"[DONE]" in self._answer.read()
        except (http.client.HTTPException, ConnectionError):
            self.whole = False
        self.ended = time.monotonic()

    def wait(self) -> None:
        self._thread.join(30)
        self._connection.close()


@contextmanager
def streaming(server: dict[str, Any], token: str) -> Iterator[Stream]:
    stream = Stream(server, token)
    try:
        yield stream
    finally:
        stream.wait()


@pytest.mark.parametrize("way", [bearer, x_api_key])
def test_a_task_opens_what_it_names_and_nothing_else(remit: Remit, server: dict[str, Any], way: Any) -> None:
    assert curl(server["url"] + "/metrics").status == 403
    task, token = start_task(remit, server["name"], "disclose")
    assert curl(*way(token), server["url"] + "/metrics").status == 200
    outside = curl(*way(token), server["base_url"] + "/models")
    assert (outside.status, outside.code) == (403, "outside-task")
    remit.run("task", "end", task)
    ended = curl(*way(token), server["url"] + "/metrics")
    assert (ended.status, ended.code) == (401, "unidentified")
    assert "ended" in ended.json["error"]["message"]
    assert curl(server["base_url"] + "/models").status == 200, "without the token it is the owner's own call"


def test_a_token_nobody_was_given_is_refused(server: dict[str, Any]) -> None:
    for token in ("remit_task_", "remit_task_" + "0" * 43, "remit_task_" + "z" * 5000):
        assert curl(*bearer(token), server["base_url"] + "/models").status == 401


def test_the_list_has_what_runs_and_never_a_token(remit: Remit, server: dict[str, Any]) -> None:
    task, token = start_task(remit, server["name"], "infer,list")
    listed = remit.run("task", "list", "--json").stdout
    [row] = [row for row in json.loads(listed) if row["id"] == task]
    assert row["actions"] == ["infer", "list"]
    assert 0 < row["left"] <= 300
    everywhere = listed + remit.run("status", "--json").stdout + remit.run("audit", "export").stdout
    assert token not in everywhere
    remit.run("task", "end", task)
    assert task not in remit.run("task", "list").stdout
    again = remit.run("task", "end", task, check=False)
    assert (again.returncode, f"no task `{task}` is running" in again.stderr) == (1, True)


def test_a_task_expires_and_its_stream_with_it(remit: Remit, server: dict[str, Any]) -> None:
    _, token = start_task(remit, server["name"], "infer,list", "2s")
    started = time.monotonic()
    assert curl(*bearer(token), server["base_url"] + "/models").status == 200
    with streaming(server, token) as stream:
        pass
    assert not stream.whole
    assert stream.ended - started < 3.2
    assert curl(*bearer(token), server["base_url"] + "/models").status == 401


def test_the_end_of_a_task_cuts_its_open_streams(remit: Remit, server: dict[str, Any]) -> None:
    task, token = start_task(remit, server["name"], "infer")
    _, other = start_task(remit, server["name"], "infer")
    with streaming(server, token) as stream, streaming(server, other) as untouched:
        remit.run("task", "end", task)
        told = time.monotonic()
        stream.wait()
        assert not stream.whole
        assert stream.ended - told < 1
        assert untouched.ended == 0, "another task's stream goes on"
        remit.run("task", "end", other_id(remit))
    cut = [json.loads(row)["record"] for row in remit.run("audit", "tail", "-n", "50", "--json").stdout.splitlines()]
    assert [row["outcome"] for row in cut if row["kind"] == "end"].count("cut") >= 2


def other_id(remit: Remit) -> str:
    return str(json.loads(remit.run("task", "list", "--json").stdout)[-1]["id"])


def test_a_token_in_a_prompt_or_an_answer_is_masked(
    remit: Remit, server: dict[str, Any], world: tuple[Remit, Recorded]
) -> None:
    _, token = start_task(remit, server["name"], "infer")
    reply = curl(server["url"] + CHAT, *chat(f"my token is {token}, keep it"))
    assert reply.status == 200
    assert "my token is" in reply.json["choices"][0]["message"]["content"]
    assert not TOKEN.search(reply.body.decode())
    assert token not in json.dumps(world[1].requests)


def test_what_has_ended_stays_ended_across_a_restart(tmp_path: Path, world: tuple[Remit, Recorded]) -> None:
    state, address = tmp_path / "state", world[1].address
    with guarding(state, PORT + 50, address) as remit:
        name = remit.ready["guarded"][0]["name"]
        ended, dead = start_task(remit, name, "list")
        running, live = start_task(remit, name, "list")
        _, brief = start_task(remit, name, "list", "1s")
        remit.run("task", "end", ended)
    with guarding(state, PORT + 50, address) as remit:
        url = remit.ready["guarded"][0]["base_url"] + "/models"
        assert [row["id"] for row in remit.ready["tasks"]] == [running]
        assert curl(*bearer(dead), url).status == 401
        assert curl(*bearer(brief), url).status == 401
        assert curl(*bearer(live), url).status == 200, "a task that runs goes on"
        assert "ok" in remit.run("audit", "verify").stdout
