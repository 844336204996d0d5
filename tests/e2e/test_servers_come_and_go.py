"""Guarded servers that are killed, restarted, replaced and stopped: seen at once, and never mixed up."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import guarding


class Running:
    """A fake model server as a process of its own on one port: killed, started again, replaced by another kind."""

    def __init__(self, kind: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.start(kind)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, kind: str) -> None:
        command = [sys.executable, "-m", f"tests.fakes.fake_{kind}", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class World:
    """Two servers guarded by one Remit: `first` is what happens to, `second` stands beside it."""

    def __init__(self, remit: Remit, first: Running, second: Running) -> None:
        self.remit, self.first, self.second = remit, first, second
        by_upstream = {one["upstream"]: one for one in remit.ready["guarded"]}
        self.door: str = by_upstream[first.address]["url"]

    def guarded(self, server: Running) -> dict[str, Any] | None:
        """What `remit status` says of it; None when it isn't guarded."""
        status = json.loads(self.remit.run("status", "--json").stdout)
        return next((one for one in status["guarded"] if one["upstream"] == server.address), None)

    def call(self) -> Reply:
        """A chat with the first server, through the door it had at start."""
        return curl(f"{self.door}{CHAT}", *chat("hello"))

    def acts(self) -> list[dict[str, Any]]:
        lines = self.remit.run("audit", "tail", "-n", "1000", "--json").stdout.splitlines()
        records = (json.loads(line)["record"] for line in lines)
        return [record for record in records if record["kind"] == "act"]


def within(seconds: float, seen: Callable[[], Any]) -> float:
    """How long it took until `seen`; fails after `seconds`."""
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < seconds, f"not seen within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        first, second = Running("vllm"), Running("ollama")
        stack.callback(first.kill)
        stack.callback(second.kill)
        state = tmp_path / "state"
        yield World(stack.enter_context(guarding(state, 31000, first.address, second.address)), first, second)


def test_one_that_is_killed_is_let_go_at_once_and_guarded_again_once_it_runs(world: World) -> None:
    before = world.guarded(world.first)
    assert before is not None
    assert world.call().status == 200
    world.first.kill()
    within(1, lambda: world.call().code == "not-guarded")  # each call before is answered too, by a refusal
    assert "no longer guarded" in world.call().json["error"]["message"]
    assert world.guarded(world.first) is None
    world.first.start("vllm")
    within(4, lambda: world.call().status == 200)
    after = world.guarded(world.first)
    assert after is not None
    assert (after["spiffe_id"], after["pid"]) == (before["spiffe_id"], world.first.process.pid)
    assert [one["what"] for one in world.acts() if one["subject"] == before["spiffe_id"]] == [
        "workload.enrolled",
        "workload.owned",
        "workload.activated",
        "workload.left",
        "workload.enrolled",
    ]


def test_what_replaces_it_on_its_port_is_another_workload_with_models_of_its_own(world: World) -> None:
    before = world.guarded(world.first)
    assert before is not None
    world.first.kill()
    world.first.start("lmstudio")
    within(4, lambda: (now := world.guarded(world.first)) is not None and now["server"] == "lmstudio")
    after = world.guarded(world.first)
    assert after is not None
    assert after["spiffe_id"] != before["spiffe_id"]
    assert [model["name"] for model in after["models"]] == ["tiny-instruct"]
    assert world.call().status == 503  # the old door leads nowhere: it was the other server's
    assert curl(f"{after['url']}{CHAT}", *chat("hello")).status == 200


def test_one_that_is_stopped_stays_guarded_and_is_shown_silent_until_it_answers(world: World) -> None:
    world.first.signal(signal.SIGSTOP)
    world.second.kill()  # a look comes soon after a loss
    within(6, lambda: (now := world.guarded(world.first)) is not None and now["silent_since"] is not None)
    assert "silent since" in world.remit.run("status").stdout
    now = world.guarded(world.first)
    assert now is not None
    assert now["pid"] == world.first.process.pid
    assert abs(now["silent_since"] - time.time()) < 20
    world.first.signal(signal.SIGCONT)
    within(10, lambda: (again := world.guarded(world.first)) is not None and again["silent_since"] is None)
    assert "silent since" not in world.remit.run("status").stdout
    assert world.call().status == 200


def test_no_handle_is_left_open(world: World) -> None:
    control = json.loads(world.remit.run("status", "--json").stdout)["pid"]
    before = handles(control)
    assert before >= 2
    for _ in range(2):
        world.first.kill()
        within(1, lambda: handles(control) == before - 1)
        world.first.start("vllm")
        within(4, lambda: world.guarded(world.first) is not None)
        assert handles(control) == before


def handles(pid: int) -> int:
    """How many pidfds a process holds."""
    table = f"/proc/{pid}/fd"
    links = []
    for name in os.listdir(table):
        try:
            links.append(os.readlink(f"{table}/{name}"))
        except OSError:
            continue
    return sum("[pidfd]" in link for link in links)
