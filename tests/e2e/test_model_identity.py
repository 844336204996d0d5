"""A real model server whose weights change: its identity is gone at the next request, and comes back by approval."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from remit.models import digest_file
from remit.sandbox import locate
from tests.e2e.conftest import Remit
from tests.e2e.servers import guarding
from tests.e2e.test_real_server import curl
from tests.fakes.started import free_port
from tests.faults.world import raw_chat, read_all, records
from tests.inventory.test_real_llama import PROGRAM

SECONDS = 20
ASK = json.dumps({"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 2})


@contextmanager
def llama(weights: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """llama.cpp's own server with these weights mapped."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM, str(weights), "127.0.0.1", str(port), ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def chat(guarded: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    content = ("-H", "content-type: application/json")
    status, _, body = curl(*content, "-d", ASK, guarded["base_url"] + "/chat/completions")
    return status, json.loads(body)


def model(remit: Remit) -> dict[str, Any]:
    (only,) = json.loads(remit.run("model", "list", "--json").stdout)
    return dict(only)


def until(remit: Remit, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The model as `remit model list` shows it, once it is so."""
    deadline = time.monotonic() + SECONDS
    while not seen(now := model(remit)):
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    return now


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return Path(shutil.copy(locate().path, tmp_path / "smol.gguf"))


def test_a_model_that_is_edited_is_refused_at_the_next_request_until_it_is_approved(
    tmp_path: Path, weights: Path
) -> None:
    port = free_port()
    with llama(weights, port), guarding(tmp_path / "state", free_port(), f"http://127.0.0.1:{port}") as remit:
        (guarded,) = remit.ready["guarded"]
        first = until(remit, lambda now: now["standing"] == "bound")
        assert first["digest"] == digest_file(str(weights))
        assert not first["digest_at_load"], "the kernel shows it mapped"
        assert first["parts"]["template"].startswith("sha256:")
        assert chat(guarded)[0] == 200
        with weights.open("ab") as file:
            file.write(b"\0")
        status, said = chat(guarded)
        assert (status, said["error"]["code"]) == (403, "model-changed")
        assert guarded["owner"] in said["error"]["hint"]
        assert "remit" not in said["error"]["hint"], "a caller is never shown a command that widens its own remit"
        changed = until(remit, lambda now: now["standing"] == "changed")
        assert changed["digest"] == digest_file(str(weights)) != first["digest"]
        assert changed["differing"] == ["weights"]
        assert "changed, so it is refused" in remit.run("status").stdout
        assert chat(guarded)[0] == 403, "to have looked at it is not to have approved it"
        event = remit.event("model_changed")
        assert event["approve"] == f"remit model approve smol --on {guarded['name']}"
        refused = remit.run("model", "approve", "smol", "--digest", first["digest"], check=False)
        assert refused.returncode != 0, "what was looked at is not what it is now"
        remit.run("model", "approve", "smol", "--digest", changed["digest"])
        assert model(remit)["standing"] == "approved"
        [shown] = json.loads(remit.run("status", "--json").stdout)["guarded"][0]["models"]
        assert shown["standing"] == "approved"
        assert chat(guarded)[0] == 200


def test_an_answer_under_way_is_cut_within_a_second_when_its_model_is_swapped(tmp_path: Path, weights: Path) -> None:
    port = free_port()
    with llama(weights, port), guarding(tmp_path / "state", free_port(), f"http://127.0.0.1:{port}") as remit:
        (guarded,) = remit.ready["guarded"]
        until(remit, lambda now: now["standing"] == "bound")
        other = Path(shutil.copy(weights, tmp_path / "other.gguf"))
        door = int(guarded["base_url"].split(":")[2].split("/")[0])
        with raw_chat(door, "Count to a million.", ignore_eos=True) as sock:  # it does not stop by itself
            sock.recv(4096)
            swapped = time.monotonic()
            other.replace(weights)
            said = read_all(sock)
        assert time.monotonic() - swapped < 1.0
        assert b"[DONE]" not in said
        assert not said.endswith(b"0\r\n\r\n"), "what was cut must not look whole"
        until(remit, lambda now: now["digest"] == "unknown")
        assert chat(guarded)[0] == 403
        assert "cut" in {one["outcome"] for one in records(tmp_path / "state") if one["kind"] == "end"}


def test_weights_that_are_swapped_stay_refused_also_after_both_start_again(tmp_path: Path, weights: Path) -> None:
    port, door, state = free_port(), free_port(), tmp_path / "state"
    address = f"http://127.0.0.1:{port}"
    with llama(weights, port), guarding(state, door, address) as remit:
        until(remit, lambda now: now["standing"] == "bound")
        other = Path(shutil.copy(weights, tmp_path / "other.gguf"))
        with other.open("ab") as file:
            file.write(b"\0")
        other.replace(weights)
        assert chat(remit.ready["guarded"][0])[0] == 403
        until(remit, lambda now: now["digest"] == "unknown")
        early = remit.run("model", "approve", "smol", check=False)
        assert "before it is known" in early.stderr, "what the server still has loaded lies nowhere"
    with llama(weights, port), guarding(state, door, address) as remit:
        (guarded,) = remit.ready["guarded"]
        assert chat(guarded)[0] == 403, "also while it is hashed"
        until(remit, lambda now: now["standing"] == "changed")
        assert chat(guarded)[0] == 403
        remit.run("model", "approve", "smol")
        assert chat(guarded)[0] == 200
