"""Budgets on the running program: refused once they are spent, cut while they run out, and not spent twice."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, bearer, chat, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import Recorded, fake, guarding
from tests.faults.world import records, status_of, until

PORT = 30600
PIECE_SECONDS = 0.02
LONG = "on and on it goes " * 200  # 900 pieces of 4 characters: 18 s unless it is cut


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remit, Recorded]]:
    place = tmp_path_factory.mktemp("budgets")
    with (
        fake("vllm", place, "--delay", str(PIECE_SECONDS)) as server,
        guarding(place / "state", PORT, server.address, more='[decisions]\nlisten = "127.0.0.1:0"\n') as remit,
    ):
        yield remit, server


@pytest.fixture
def remit(world: tuple[Remit, Recorded]) -> Remit:
    return world[0]


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


class Spender:
    """A task with a budget, and who calls with its token."""

    def __init__(self, remit: Remit, server: dict[str, Any], **budget: int) -> None:
        limits = [word for kind, most in budget.items() for word in (f"--{kind}", str(most))]
        asked = ("task", "start", server["name"], "--allow", "infer,list", "--json", *limits)
        answer = json.loads(remit.run(*asked).stdout)
        self.remit, self.url = remit, server["url"] + CHAT
        self.id, self.token = answer["task"]["id"], answer["token"]

    def ask(self, prompt: str = "hello", **more: Any) -> Reply:
        return curl(*bearer(self.token), *chat(prompt, **more), self.url)

    def left(self) -> dict[str, int]:
        """What is left, as `task list` has it once no call is settled any more."""
        [row] = [row for row in json.loads(self.remit.run("task", "list", "--json").stdout) if row["id"] == self.id]
        left: dict[str, int] = row["left_of_budget"]
        return left

    def ended(self) -> str | None:
        """Why it ended, by the log."""
        rows = [row for row in records(self.remit.state) if row.get("what") == "task.ended"]
        return next((row["facts"]["why"] for row in rows if row["subject"] == self.id), None)


def is_spent(reply: Reply, kind: str) -> bool:
    error = reply.json["error"]
    assert "remit " not in error["message"] + error["hint"]  # no way to more is shown to the caller
    return (reply.status, error["rule"]) == (403, "remit:budget-spent") and kind in error["message"]


def test_a_task_makes_as_many_calls_as_it_has_and_then_ends(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, calls=3)
    assert [spender.ask().status for _ in range(3)] == [200] * 3
    assert spender.left() == {"calls": 0}
    refused = spender.ask()
    assert is_spent(refused, "calls")
    until(lambda: spender.ended() == "its budget is spent: calls", "the end of the task")
    until(lambda: spender.ask().status == 401, "its token dead")
    shown = remit.run("explain", refused.headers["remit-decision"]).stdout
    assert "remit:budget-spent" in shown
    assert "to spend" not in remit.run("task", "list").stdout


def test_a_refused_call_costs_nothing(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, calls=2)
    assert curl(*bearer(spender.token), server["url"] + "/metrics").status == 403
    assert spender.ask(n=1, tools=[{"type": "mcp", "server_url": "http://x"}]).status == 400
    assert spender.left() == {"calls": 2}


def test_100_calls_at_once_at_two_workers_spend_what_there_is(remit: Remit, server: dict[str, Any]) -> None:
    """One is the gateway; the other decides for enforcement points, where each allowed decision takes a call."""
    spender = Spender(remit, server, calls=70)
    authzen = remit.ready["decisions"]["authzen_tcp"].removeprefix("http://")
    calls = [(server["url"].removeprefix("http://"), CHAT, chat("hello")[1])] * 50
    asked = {"subject": {"type": "human", "id": ME}, "action": {"name": "infer"}}
    question = json.dumps({**asked, "resource": {"type": "workload", "id": server["name"]}})
    questions = [(authzen, "/access/v1/evaluation", question)] * 50
    with ThreadPoolExecutor(100) as pool:
        pairs = [one for pair in zip(calls, questions, strict=True) for one in pair]
        answers = list(pool.map(partial(posted, spender.token), pairs))
    went = [status == 200 and body.get("decision", True) for status, body in answers]
    assert went.count(True) == 70
    assert min(sum(went[::2]), sum(went[1::2])) > 0  # at both of them
    until(lambda: spender.ended() == "its budget is spent: calls", "the end of the task")


def posted(token: str, asked: tuple[str, str, str]) -> tuple[int, dict[str, Any]]:
    address, path, body = asked
    connection = http.client.HTTPConnection(address, timeout=30)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_request_has_a_maximum_of_what_is_left_and_what_it_used_is_what_the_server_says(
    remit: Remit, server: dict[str, Any], world: tuple[Remit, Recorded]
) -> None:
    spender = Spender(remit, server, tokens=2_000)
    assert spender.ask("how long?").status == 200
    sent = world[1].requests[-1]["json"]
    size = len(chat("how long?")[1])
    assert sent["max_tokens"] == 2_000 - size
    before = spender.left()["tokens"]
    used = spender.ask("and now?", max_tokens=50).json["usage"]
    assert world[1].requests[-1]["json"]["max_tokens"] == 50
    assert spender.left()["tokens"] == before - used["prompt_tokens"] - used["completion_tokens"]
    assert is_spent(spender.ask("x" * 2_000), "tokens")
    assert spender.ended() is None  # a smaller one may go on


def streamed(spender: Spender) -> tuple[bytes, float]:
    """What came of a long stream, and how many seconds it took."""
    started = time.monotonic()
    body = spender.ask(LONG, stream=True).body
    assert b"[DONE]" not in body
    return body, time.monotonic() - started


def test_a_stream_is_cut_when_its_tokens_are_used_and_the_task_ends_at_once(
    remit: Remit, server: dict[str, Any]
) -> None:
    size = len(chat(LONG, stream=True)[1])
    spender = Spender(remit, server, tokens=size + 40)  # this server never minds the maximum
    body, _ = streamed(spender)
    assert 35 <= body.count(b"chat.completion.chunk") <= 42  # the first and the last have no text
    assert b"remit:budget-spent" in body
    until(lambda: spender.ended() == "its budget is spent: tokens", "the end of the task", 1.0)


def test_a_stream_is_cut_when_its_bytes_are_used(remit: Remit, server: dict[str, Any]) -> None:
    size = len(chat(LONG, stream=True)[1])
    spender = Spender(remit, server, bytes=size + 5_000)
    body, _ = streamed(spender)
    assert 1_000 < len(body) < 6_000
    assert b"remit:budget-spent" in body
    until(lambda: spender.ended() == "its budget is spent: bytes", "the end of the task", 1.0)


def test_a_stream_is_cut_within_a_second_of_its_time(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, seconds=2)
    _, took = streamed(spender)
    assert 1.9 < took < 3.0
    until(lambda: spender.ended() == "its budget is spent: seconds", "the end of the task", 1.0)


def test_an_answer_that_is_too_long_is_not_passed_on(remit: Remit, server: dict[str, Any]) -> None:
    size = len(chat(LONG)[1])
    spender = Spender(remit, server, bytes=size + 500)
    refused = spender.ask(LONG)
    assert is_spent(refused, "bytes")
    until(lambda: spender.ended() == "its budget is spent: bytes", "the end of the task")


def test_parts_spend_from_what_they_were_cut_from(remit: Remit, server: dict[str, Any]) -> None:
    whole = Spender(remit, server, calls=5)
    details = [{"type": "remit_task", "budget": {"calls": 4}}]
    fields = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": whole.token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "authorization_details": json.dumps(details),
    }
    given = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
    parts = [curl(f"http://127.0.0.1:{PORT - 1}/token", *given).json["access_token"] for _ in range(2)]
    codes = [curl(*bearer(part), *chat("hello"), whole.url).status for part in parts for _ in range(3)]
    assert codes[:5] == [200] * 5
    assert codes[5] in {401, 403}
    until(lambda: whole.ended() == "its budget is spent: calls", "the end of all of it")
    assert curl(*bearer(parts[0]), *chat("hello"), whole.url).status == 401


def test_a_task_that_is_extended_spends_on(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, calls=1)
    assert spender.ask().status == 200
    assert spender.left() == {"calls": 0}
    remit.run("task", "extend", spender.id, "--calls", "3")
    assert [spender.ask().status for _ in range(2)] == [200, 200]
    assert is_spent(spender.ask(), "calls")


def test_what_a_killed_worker_held_is_spent(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, calls=5)
    assert spender.ask().status == 200
    calling = threading.Thread(target=lambda: spender.ask(LONG, stream=True))
    calling.start()
    until(lambda: spender.left() == {"calls": 3}, "the call under way")
    os.kill(status_of(remit)["workers"]["inference"], signal.SIGKILL)
    calling.join(30)
    until(lambda: curl(*bearer(spender.token), server["base_url"] + "/models").status == 200, "another worker")
    assert spender.left()["calls"] <= 2
    assert spender.left()["calls"] >= 1


def test_control_that_is_killed_gives_nothing_twice(remit: Remit, server: dict[str, Any]) -> None:
    spender = Spender(remit, server, calls=100)
    for _ in range(4):
        assert spender.ask().status == 200
    calling = threading.Thread(target=lambda: spender.ask(LONG, stream=True))
    calling.start()
    until(lambda: spender.left() == {"calls": 95}, "the call under way")
    os.kill(status_of(remit)["pid"], signal.SIGKILL)
    remit.event("ready")
    calling.join(30)
    left = spender.left()["calls"]
    assert 85 <= left <= 95
    assert spender.ask().status == 200
    assert spender.left() == {"calls": left - 1}
