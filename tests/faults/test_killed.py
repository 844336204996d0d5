"""`kill -9` at any moment: the log verifies, nothing unlogged was sent, the same port serves again."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.control.orphans import end_orphan, remember, worker_file
from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import (
    alive,
    chat,
    configure,
    kill,
    kill_all,
    port_of,
    processes,
    raw_chat,
    read_all,
    records,
    running,
    status_of,
    until,
)

PORT = 28200
CALLERS = 4


@pytest.fixture
def server() -> Iterator[FakeAwkwardServer]:
    """One for each test, which counts what reached it."""
    with FakeAwkwardServer() as one:
        yield one


@pytest.fixture
def remit(state: Path) -> Iterator[Remit]:
    """One for each test: it doesn't survive."""
    with running(state) as one:
        yield one


def worker_of(remit: Remit) -> int:
    return int(status_of(remit)["workers"]["inference"])


def served(port: int) -> bool:
    try:
        return chat(port, "are you there").status == 200
    except (OSError, http.client.HTTPException):
        return False


def sent_is_logged(remit: Remit, server: FakeAwkwardServer) -> None:
    """What reached the server has a start record; a start without its request is what a kill in between leaves."""
    allowed = [one for one in records(remit.state) if one["kind"] == "start" and one["outcome"] == "allowed"]
    chats = sum(one["action"] == "infer" for one in allowed)
    assert len(server.prompts()) <= chats
    assert "ok" in remit.run("audit", "verify").stdout


def test_a_killed_worker_has_a_successor_on_the_same_port(remit: Remit, server: FakeAwkwardServer) -> None:
    port, first = port_of(remit), worker_of(remit)
    with raw_chat(port, "endless while it dies") as sock:
        sock.recv(1000)
        kill(first)
        read_all(sock)
        assert server.cut.acquire(timeout=5)
    assert "died" in remit.event("note")["text"]
    until(lambda: served(port), "the successor serves")
    assert worker_of(remit) != first
    sent_is_logged(remit, server)


def test_a_worker_that_dies_again_and_again_ends_the_instance_with_a_word(remit: Remit) -> None:
    for _ in range(7):
        try:
            kill(until(lambda: status_of(remit)["workers"].get("inference"), "a worker", 5))
        except (AssertionError, ProcessLookupError):
            break
        until(lambda: remit.process.poll() is not None or worker_is_new(remit), "a successor or the end")
        if remit.process.poll() is not None:
            break
    assert "died" in remit.event("error")["message"]
    assert remit.process.wait(15) == 1
    assert not processes(remit.state)


def worker_is_new(remit: Remit) -> bool:
    done = remit.run("status", "--json", check=False)
    return done.returncode == 0 and all(alive(pid) for pid in json.loads(done.stdout)["workers"].values())


def test_a_killed_control_is_started_again_and_the_orphan_ends(remit: Remit, server: FakeAwkwardServer) -> None:
    port, orphan, control = port_of(remit), worker_of(remit), status_of(remit)["pid"]
    with raw_chat(port, "endless until the orphan ends") as sock:
        sock.recv(1000)
        kill(control)
        remit.event("ready")
        assert not alive(orphan)
        read_all(sock)
        assert server.cut.acquire(timeout=5)
    assert port_of(remit) == port, "the same port as before"
    assert any("left behind" in event.get("text", "") for event in remit.events)
    assert served(port)
    cut = [one for one in records(remit.state) if one["kind"] == "end" and one["outcome"] == "cut"]
    assert len(cut) == 1, "the orphan's open call has its end record"
    assert any(one["kind"] == "act" and one["what"] == "worker.orphan" for one in records(remit.state))
    sent_is_logged(remit, server)


def test_the_worker_goes_on_while_control_is_gone(remit: Remit) -> None:
    port = port_of(remit)
    os.kill(remit.process.pid, signal.SIGSTOP)  # so that nobody starts it again
    try:
        kill(status_of(remit)["pid"])
        assert served(port)
    finally:
        os.kill(remit.process.pid, signal.SIGCONT)
    remit.event("ready")
    assert served(port)


def test_everything_killed_at_once_and_started_anew(server: FakeAwkwardServer, state: Path) -> None:
    with running(state) as first:
        assert served(port_of(first))
        kill_all(first)
    with running(state) as second:
        assert port_of(second) == PORT
        assert served(PORT)
        sent_is_logged(second, server)


def test_a_control_killed_with_its_up_leaves_an_orphan_that_the_next_up_ends(
    server: FakeAwkwardServer, state: Path
) -> None:
    with running(state) as first:
        orphan, control = worker_of(first), status_of(first)["pid"]
        kill(first.process.pid)
        kill(control)
        first.process.wait(5)
    assert alive(orphan)
    with running(state) as second:
        assert not alive(orphan)
        assert port_of(second) == PORT
        sent_is_logged(second, server)


async def _ended(path: Path) -> int | None:
    return await end_orphan(path)


def test_a_pid_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    import asyncio

    path = worker_file(tmp_path, "inference")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        for change in ({"start": 1}, {"boot": "another"}, {"pid": "x"}):
            remember(path, other.pid)
            path.write_text(json.dumps(json.loads(path.read_text()) | change))
            assert asyncio.run(_ended(path)) is None
            assert other.poll() is None
            assert not path.exists()
        remember(path, other.pid)
        assert asyncio.run(_ended(path)) == other.pid
        assert other.wait(5) == -signal.SIGTERM


class Load:
    """Callers that chat without pause, each prompt with its own mark."""

    def __init__(self, port: int) -> None:
        self.port, self.answered = port, 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, more: int) -> None:
        """Return once so many more calls were answered."""
        before = self.answered
        until(lambda: self.answered >= before + more, "calls are answered")

    def _call(self, number: int) -> None:
        turn = 0
        while not self._ended.is_set():
            turn += 1
            try:
                self.answered += chat(self.port, f"mark {number}-{turn}", stream=turn % 2 == 0).status == 200
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)


def kill_rounds(remit: Remit, server: FakeAwkwardServer, victims: list[str], dice: random.Random) -> None:
    port = port_of(remit)
    with Load(port) as load:
        for victim in victims:
            load.wait_for(5)
            time.sleep(dice.random() * 0.3)
            if victim == "control":
                kill(status_of(remit)["pid"])
                remit.event("ready")
            else:
                kill(worker_of(remit))
                until(lambda: worker_is_new(remit), "a successor")
    assert port_of(remit) == port
    sent_is_logged(remit, server)


def test_killed_at_random_moments_under_load(remit: Remit, server: FakeAwkwardServer) -> None:
    kill_rounds(remit, server, ["worker", "control", "worker"], random.Random(7))


@pytest.mark.long
def test_killed_at_many_random_moments_under_load(server: FakeAwkwardServer, tmp_path: Path) -> None:
    dice = random.Random()
    for turn in range(12):
        state = tmp_path / f"state-{turn}"
        configure(state, PORT, server.url)
        server.requests.clear()
        with running(state) as remit:
            kill_rounds(remit, server, dice.sample(["worker", "worker", "control", "control"], 4)[:3], dice)
