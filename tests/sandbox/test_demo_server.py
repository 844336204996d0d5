"""The demonstration server: the real llama.cpp with the real model, as a child on a private unix socket."""

import asyncio
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from remit.errors import ModelError, StateError
from remit.models import mapped_model_files
from remit.sandbox import MODEL_NAME, DemoModel, DemoServer, locate
from remit.secret import Secret

KEY = Secret("k-only-remit-holds")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def ask(path: Path, target: str, body: dict[str, Any] | None = None, key: Secret | None = KEY) -> tuple[int, Any]:
    """One request to the server; (status, JSON)."""
    connection = _Connection(path)
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key is not None else {}
    try:
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", target, content, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


class Running:
    """One demonstration server for all tests here, with the loop that supervises it."""

    def __init__(self, path: Path) -> None:
        self.runner = asyncio.Runner()
        self.server: DemoServer = self.runner.run(DemoServer.start(path, KEY))
        self.path = path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("demo") / "private" / "model.sock")
    yield running
    running.runner.run(running.server.stop())
    running.runner.close()


def test_it_answers_as_soon_as_it_is_ready(running: Running) -> None:
    assert ask(running.path, "/health", key=None) == (200, {"status": "ok"})
    assert running.server.running
    assert running.server.upstream == f"unix:{running.path}"


def test_only_its_key_opens_it(running: Running) -> None:
    assert ask(running.path, "/v1/models", key=None)[0] == 401
    assert ask(running.path, "/v1/models", key=Secret("guess"))[0] == 401
    assert [model["id"] for model in ask(running.path, "/v1/models")[1]["data"]] == [MODEL_NAME]


def test_it_chats_and_embeds(running: Running) -> None:
    question = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "temperature": 0}
    status, reply = ask(running.path, "/v1/chat/completions", question)
    assert (status, reply["model"]) == (200, MODEL_NAME)
    assert reply["choices"][0]["message"]["content"]
    status, reply = ask(running.path, "/v1/embeddings", {"input": ["hello world", "hi there world"]})
    assert (status, [len(row["embedding"]) for row in reply["data"]]) == (200, [576, 576])


def test_a_prompt_sent_before_is_not_taken_from_a_cache(running: Running) -> None:
    prompt = {"messages": [{"role": "user", "content": "river stone garden window " * 8}], "max_tokens": 1}
    for _ in range(2):
        reply = ask(running.path, "/v1/chat/completions", prompt)[1]
        assert reply["timings"]["cache_n"] == 0
        assert reply["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_its_key_is_neither_in_its_arguments_nor_in_its_environment(running: Running) -> None:
    for name in ("cmdline", "environ"):
        assert KEY.reveal().encode() not in Path(f"/proc/{running.server.pid}/{name}").read_bytes()
    assert KEY.reveal() not in repr(running.server.__dict__)


def test_it_is_hardened_and_its_socket_is_private(running: Running) -> None:
    proc = Path(f"/proc/{running.server.pid}")
    assert "NoNewPrivs:\t1" in (proc / "status").read_text()
    assert "Max core file size        0                    0" in (proc / "limits").read_text()
    assert running.path.parent.stat().st_mode & 0o777 == 0o700
    assert running.path.stat().st_mode & 0o077 == 0
    outputs = {os.readlink(proc / "fd" / str(number)) for number in (0, 1, 2)}
    assert outputs == {"/dev/null"}


def test_its_weights_are_the_file_it_was_given(running: Running) -> None:
    files = mapped_model_files(running.server.pid)
    assert files is not None
    assert [file.path for file in files] == [str(locate().path)]


@asynccontextmanager
async def _started(path: Path) -> AsyncIterator[DemoServer]:
    server = await DemoServer.start(path, KEY, context=512, parallel=1)
    try:
        yield server
    finally:
        await server.stop()


def _run(main: Coroutine[Any, Any, None]) -> None:
    """As Remit does, on uvloop (the module's server runs on asyncio's own loop)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main, 60))


def test_its_end_is_noticed_and_it_starts_again_over_the_socket_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "run" / "model.sock"

    async def main() -> None:
        async with _started(path) as server:
            os.kill(server.pid, signal.SIGKILL)
            assert await server.wait() == -signal.SIGKILL
            assert path.is_socket()
        async with _started(path) as server:
            assert (await asyncio.to_thread(ask, path, "/health"))[0] == 200
            assert await server.stop() == 0
            assert not path.exists()
            assert await server.stop() == 0

    _run(main())


def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, signal, sys, pathlib\n"
        "from remit.sandbox import DemoServer\n"
        "from remit.secret import Secret\n"
        "async def main():\n"
        "    server = await DemoServer.start(pathlib.Path(sys.argv[1]), Secret('k'), context=512, parallel=1)\n"
        "    print(server.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-I", "-c", program, str(tmp_path / "run" / "model.sock")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 10)[0]
    finally:
        os.close(descriptor)


def test_what_can_not_be_started_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing else")
    (tmp_path / "open").mkdir(mode=0o755)
    cases: list[tuple[Path, DemoModel | None, type[Exception], str]] = [
        (tmp_path / "private" / "a.sock", DemoModel("broken", broken), ModelError, "can't be served"),
        (tmp_path / "open" / "a.sock", None, StateError, "open to others"),
        (tmp_path / ("x" * 120) / "a.sock", None, StateError, "longer than 107 bytes"),
    ]

    async def main() -> None:
        for path, model, error, reason in cases:
            with pytest.raises(error, match=reason):
                await DemoServer.start(path, KEY, model=model)

    _run(main())
