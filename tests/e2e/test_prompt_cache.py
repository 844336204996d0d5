"""On the real server nobody can tell a right guess of another caller's prompt from a wrong one."""

import http.client
import json
import math
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from remit.sandbox import locate
from tests.e2e.conftest import Remit
from tests.e2e.servers import guarding, start_task

WORDS = 260  # about 300 tokens with the chat's own
VISIBLE = 0.5  # a right guess that takes less than this share of a wrong one's time is told apart
ALIKE = (0.75, 1.33)  # medians within this ratio are not: a hit saves nine tenths of the time
TICK = 1 / os.sysconf("SC_CLK_TCK")

PROGRAM = """
import sys, xllamacpp
path, socket = sys.argv[1:]
chosen = xllamacpp.CommonParams()
chosen.model.path, chosen.hostnames, chosen.n_ctx, chosen.n_parallel = path, [socket], 4096, 2
chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
chosen.cpuparams.poll = chosen.cpuparams_batch.poll = 0
chosen.model_alias, chosen.verbosity, chosen.warmup = {"smol"}, -1, True
server = xllamacpp.Server(chosen)
print("up", flush=True)
sys.stdin.read()
"""


class UnixHTTP(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@dataclass
class Guesses:
    """What each guess took, and its reply.

    `right` and `wrong` are seconds of the server's one thread: what an idle machine would take, so that what else
    runs here neither hides a difference nor makes one. `quickest` is what a caller saw by the clock.
    """

    right: list[float] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    quickest: float = math.inf

    def ratio(self) -> float:
        return statistics.median(self.right) / statistics.median(self.wrong)


Ask = Callable[[str], tuple[float, dict[str, Any]]]


@dataclass(frozen=True)
class Server:
    """A running llama.cpp server."""

    path: Path
    pid: int

    def seconds(self) -> float:
        """Processor time it has used."""
        row = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(row[11]) + int(row[12])) * TICK


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A llama.cpp server as a user would start it: its prompt cache is on."""
    path = tmp_path_factory.mktemp("llama") / "own.sock"
    command = [sys.executable, "-I", "-c", PROGRAM, str(locate().path), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "up\n"
            yield Server(path, server.pid)
        finally:
            server.kill()


@pytest.fixture(scope="module")
def remit(own_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    with guarding(tmp_path_factory.mktemp("cache"), 29400, f"unix:{own_server.path}") as running:
        yield running


def a_prompt(seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(VOCABULARY) for _ in range(WORDS))


VOCABULARY = ("river", "stone", "light", "garden", "winter", "paper", "window", "coffee", "morning", "bridge")
WANTED = {"cache_prompt": True, "timings_per_token": True, "return_progress": True, "id_slot": 0, "n_cache_reuse": 16}


def asker(connect: Callable[[], http.client.HTTPConnection], path: str, token: str = "") -> Ask:
    """Ask for one token, wanting all that could tell of the cache; seconds, and the reply."""

    def ask(prompt: str) -> tuple[float, dict[str, Any]]:
        said: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]}
        if path == "/completion":
            said = {"prompt": prompt, "n_predict": 1}
        body = json.dumps({**said, "max_tokens": 1, "temperature": 0, **WANTED})
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        connection = connect()
        try:
            connection.connect()
            started = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            raw = answer.read()
            took = time.perf_counter() - started
        finally:
            connection.close()
        assert answer.status == 200, raw
        return took, json.loads(raw)

    return ask


def guess(server: Server, victim: Ask, guesser: Ask, pairs: int, seed: int) -> Guesses:
    """`guesser` tries right and wrong guesses of what `victim` has just sent, the one first and then the other."""
    seen = Guesses()
    for number in range(pairs):
        secret, wrong = a_prompt(seed + 2 * number), a_prompt(seed + 2 * number + 1)
        for guessed, times in ((secret, seen.right), (wrong, seen.wrong))[:: 1 if number % 2 else -1]:
            victim(secret)
            before = server.seconds()
            took, reply = guesser(guessed)
            times.append(server.seconds() - before)
            seen.quickest = min(seen.quickest, took)
            seen.replies.append(reply)
    return seen


def fields(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a reply by its path, with its value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, f"{at}.{name}")
    else:
        yield at, value


@pytest.mark.parametrize(("path", "pairs"), [("/v1/chat/completions", 3), ("/completion", 2)])
def test_a_right_guess_of_another_s_prompt_looks_like_a_wrong_one(
    remit: Remit, own_server: Server, path: str, pairs: int
) -> None:
    server = remit.ready["guarded"][0]
    host = server["url"].removeprefix("http://")

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(host, timeout=60)

    _, token = start_task(remit, server["name"], "infer")
    seen = guess(own_server, asker(connect, path), asker(connect, path, token), pairs, seed=1000)
    assert ALIKE[0] < seen.ratio() < ALIKE[1], seen
    assert seen.quickest > VISIBLE * statistics.median(seen.wrong), seen
    told = [dict(fields(reply)) for reply in seen.replies]
    assert len({tuple(one) for one in told}) == 1, "the same fields in each reply"
    for name, value in told[0].items():
        if any(word in name for word in ("cache", "timing", "slot", "progress", "evaluated")):
            assert not value, name
            assert all(one[name] == value for one in told), name


def test_past_the_guard_the_difference_is_seen(own_server: Server) -> None:
    """So the test above can fail: the very same server, asked on its own socket."""

    def connect() -> http.client.HTTPConnection:
        return UnixHTTP(str(own_server.path))

    ask = asker(connect, "/v1/chat/completions")
    seen = guess(own_server, ask, ask, 2, seed=2000)
    assert seen.ratio() < VISIBLE, seen
    assert seen.quickest < VISIBLE * statistics.median(seen.wrong), seen
    assert max(reply["timings"]["cache_n"] for reply in seen.replies) > WORDS // 2
    assert seen.replies[-1]["usage"]["prompt_tokens"] > 250
