"""The real llama.cpp server with the real model, on TCP and on a unix socket: found, with its weights' digest."""

import asyncio
import hashlib
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.inventory import DIGEST_HASHING, Found, discover
from remit.inventory.fingerprints import KEY_NEEDED
from remit.models import Hasher
from remit.sandbox import locate
from tests.fakes.started import free_port
from tests.inventory.asking import TestProbe

PROGRAM = """
import sys, time, xllamacpp
path, host, port, key = sys.argv[1:]
chosen = xllamacpp.CommonParams()
chosen.model.path, chosen.hostnames, chosen.port, chosen.n_ctx = path, [host], int(port), 512
chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
chosen.model_alias, chosen.verbosity, chosen.warmup = {"smol"}, -1, False
chosen.api_keys = [key] if key else []
server = xllamacpp.Server(chosen)
print("up", flush=True)
sys.stdin.read()
"""


def _start(host: str, port: int = 0, key: str = "") -> "subprocess.Popen[str]":
    weights = str(locate().path)
    return subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM, weights, host, str(port), key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Found, int]]]:
    """Both servers as discovery sees them, with their real pids: one open on TCP, one locked on a unix socket."""
    path, port = tmp_path_factory.mktemp("llama") / "llama.sock", free_port()
    started = {f"http://127.0.0.1:{port}": _start("127.0.0.1", port), f"unix:{path}": _start(str(path), key="k")}
    try:
        for server in started.values():
            assert server.stdout is not None
            assert server.stdout.readline() == "up\n"
        seen = asyncio.run(discover(TestProbe(*started)))
        yield {one.upstream: (one, started[one.upstream].pid) for one in seen.found}
    finally:
        for server in started.values():
            server.kill()
            server.communicate()


def test_both_are_found_with_their_process(found: dict[str, tuple[Found, int]]) -> None:
    assert sorted(one.reach for one, _ in found.values()) == ["loopback", "private"]
    for one, pid in found.values():
        assert (one.server, one.pids) == ("llama.cpp", (pid,))
        assert one.exe == str(Path(sys.executable).resolve())


def test_the_open_one_tells_its_model_and_the_locked_one_is_told_by_what_it_has_mapped(
    found: dict[str, tuple[Found, int]],
) -> None:
    weights = locate().path
    models = {one.upstream.split(":")[0]: one.models for one, _ in found.values()}
    assert [(model.name, model.path, model.digest) for model in models["http"]] == [
        ("smol", str(weights), DIGEST_HASHING)
    ]
    assert [(model.name, model.path) for model in models["unix"]] == [(weights.stem, str(weights))]
    assert [KEY_NEEDED in one.notes for one, _ in found.values()] == [
        one.upstream.startswith("unix:") for one, _ in found.values()
    ]


def test_the_digest_is_that_of_the_weights(found: dict[str, tuple[Found, int]]) -> None:
    answers: queue.Queue[object] = queue.Queue()
    with Hasher() as hasher:
        for one, _ in found.values():
            ((_name, file),) = one.weights
            hasher.submit(file.reading, answers.put, answers.put, node=file.node)
        digests = [answers.get(timeout=20) for _ in found]
    assert digests == ["sha256:" + hashlib.sha256(locate().path.read_bytes()).hexdigest()] * 2
