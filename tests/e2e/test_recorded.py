"""What the log says of a call: every start has its end, a refusal is no allow, and nothing private stands in it."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from remit.audit.read import every
from tests.e2e.conftest import Remit
from tests.fakes.fake_vllm import FakeVllm

TOKEN = "ghp_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeVllm]:
    with FakeVllm() as server:
        yield server


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory, server: FakeVllm) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("recorded")
    (state / "config.toml").write_text(
        f'environment = "prod"\n[discovery]\nlook = false\nservers = ["{server.url}"]\n[gateway]\nport = 27300\n'
    )
    running = Remit(state)
    try:
        yield running
    finally:
        running.stop()


def records(remit: Remit) -> list[dict[str, Any]]:
    return [record.data for record in every(remit.state / "audit")]


def post(url: str, body: dict[str, Any], *more: str) -> tuple[int, dict[str, Any]]:
    command = ["curl", "-s", "-m", "20", "-w", "\n%{http_code}", *more, url, "-d", json.dumps(body)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text) if text else {}


def chat(**more: Any) -> dict[str, Any]:
    return {"model": FakeVllm.model, "messages": [{"role": "user", "content": "hello"}], **more}


def test_a_caller_that_hangs_up_at_any_moment_leaves_an_end(remit: Remit, ready: dict[str, Any]) -> None:
    parts = urlsplit(ready["guarded"][0]["url"])
    body = json.dumps(chat()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
    for moment in range(120):
        with socket.create_connection((parts.hostname, parts.port)) as caller:
            caller.sendall(head.encode() + body)
            time.sleep(moment % 12 * 0.0001)
    deadline = time.monotonic() + 10
    open_calls: set[str] = {"?"}
    while open_calls and time.monotonic() < deadline:
        time.sleep(0.2)
        rows = records(remit)
        starts = {row["id"] for row in rows if row["kind"] == "start" and row["outcome"] == "allowed"}
        open_calls = starts - {row["id"] for row in rows if row["kind"] == "end"}
    assert open_calls == set()


def test_a_forbidden_field_is_recorded_as_refused(remit: Remit, ready: dict[str, Any]) -> None:
    status, said = post(ready["guarded"][0]["base_url"] + "/chat/completions", chat(api_base="http://evil"))
    assert status in {400, 403}
    decision = said["error"]["decision"]
    [start] = [row for row in records(remit) if row["kind"] == "start" and row["id"] == decision]
    assert (start["outcome"], start["rule"]) == ("refused", "remit:forbidden-field")


def test_no_secret_and_no_name_stands_in_the_log(remit: Remit, ready: dict[str, Any]) -> None:
    url = ready["guarded"][0]["url"]
    for arguments in (
        (f"{url}/v1/{TOKEN}",),
        (f"{url}/v1/models/{TOKEN}",),
        ("-H", f"Host: {TOKEN}", f"{url}/v1/models"),
        ("-H", f"Origin: http://{TOKEN}", f"{url}/v1/models"),
        (f"{url}/v1/models?key={TOKEN}",),
    ):
        subprocess.run(["curl", "-s", "-m", "20", *arguments], capture_output=True, check=True)
    post(f"{url}/v1/chat/completions", chat(model=TOKEN))
    post(f"{url}/v1/chat/completions", {"model": FakeVllm.model, "messages": [{"role": "user", "content": TOKEN}]})
    remit.run("status")
    raw = b"".join(path.read_bytes() for path in (remit.state / "audit").iterdir())
    assert [line[:900] for line in raw.split(b"\n") if TOKEN.encode() in line] == []
    owner = ready["owner"]
    named = re.compile(rb"[/\"]%s[/\"]" % owner.encode())
    assert [line[:900] for line in raw.split(b"\n") if named.search(line)] == []


def test_an_unknown_model_does_not_pass_as_the_known_one(
    remit: Remit, server: FakeVllm, ready: dict[str, Any]
) -> None:
    """In `prod` the starter policy refuses inference with a model whose digest is not known."""
    before = len(server.requests)
    status, said = post(ready["guarded"][0]["base_url"] + "/chat/completions", chat(model="evil:latest"))
    assert status == 403
    assert said["error"]["rule"] == "no-unknown-model-in-prod"
    assert len(server.requests) == before


def test_the_log_verifies(remit: Remit, ready: dict[str, Any], tmp_path: Path) -> None:
    assert remit.run("audit", "verify").stdout.startswith("ok")
