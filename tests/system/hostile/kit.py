"""What every try has: the target as it can be found out by anybody, ways to call it, and the list of tries."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """One running Remit: how its command is typed, where its code is, and what it says of itself when ready."""

    remit: str
    code: Path
    config: Path
    ready: dict[str, Any]

    @property
    def state(self) -> Path:
        return Path(self.ready["state"])

    @property
    def run(self) -> Path:
        return Path(self.ready["api"]).parent

    @property
    def policies(self) -> Path:
        return Path(self.ready["policies"]["dir"])

    @property
    def port(self) -> int:
        return int(self.ready["guarded"][0]["url"].rpartition(":")[2])

    @property
    def server(self) -> str:
        return str(self.ready["guarded"][0]["name"])

    @property
    def keys(self) -> list[Path]:
        return [self.state / "audit.key", self.state / "digest.key", self.state / "keys/authority.json"]


@dataclass(frozen=True)
class Try:
    """One: it returns evidence when it succeeded, "" when not. A refusal by the system (OSError) is no success."""

    name: str
    sentence: str
    run: Callable[[Target], str]


TRIES: list[Try] = []


def attempt(name: str, sentence: str) -> Callable[[Callable[[Target], str]], Callable[[Target], str]]:
    def add(run: Callable[[Target], str]) -> Callable[[Target], str]:
        TRIES.append(Try(name, sentence, run))
        return run

    return add


def tell(one: Try, target: Target) -> dict[str, Any]:
    """Make a try and say what came of it."""
    try:
        evidence, why = one.run(target), "no effect"
    except (OSError, subprocess.SubprocessError, http.client.HTTPException, ValueError, LookupError) as failed:
        evidence, why = "", f"{type(failed).__name__}: {failed}"
    return {"try": one.name, "sentence": one.sentence, "succeeded": bool(evidence), "evidence": evidence or why}


def call(target: Target, path: str = "/v1/models", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """One GET at the guarded door."""
    door = http.client.HTTPConnection("127.0.0.1", target.port, timeout=SECONDS)
    with contextlib.closing(door):
        door.request("GET", path, headers=headers or {})
        reply = door.getresponse()
        return reply.status, reply.read()


def disclosed(target: Target, token: str) -> str:
    """Evidence that a call which takes a task got the server's answer with this token."""
    status, body = call(target, "/props", {"Authorization": f"Bearer {token}"})
    return f"GET /props answered {len(body)} bytes" if status == 200 and b"default_generation" in body else ""


def start_task(target: Target) -> list[str]:
    return [target.remit, "task", "start", target.server, "--allow", "disclose", "--for", "5m", "--purpose", "mine"]


def token_in(said: str) -> str:
    """The task's token in what a command said, or ""."""
    return next((word for word in said.split() if word.startswith("remit_task_")), "")


def used(target: Target, said: str) -> str:
    """Evidence that what a command said holds a token that is good for something."""
    token = token_in(said)
    return disclosed(target, token) if token else ""


def said_by(*command: str, environ: dict[str, str] | None = None, seconds: float = SECONDS) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=seconds,
        env={**os.environ, **(environ or {})},
    )
    return done.stdout + done.stderr


def guards(target: Target) -> list[int]:
    """The processes of Remit that hold what is worth having: control and the gateway workers."""
    return [int(target.ready["pid"]), *target.ready["workers"].values()]


def unix_get(path: str, what: str, headers: str = "", sock: socket.socket | None = None) -> bytes:
    """One GET at a unix socket, raw."""
    line = sock or socket.socket(socket.AF_UNIX)
    with line:
        line.settimeout(SECONDS)
        if sock is None:
            line.connect(path)
        line.sendall(f"GET {what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode())
        return b"".join(iter(lambda: line.recv(65536), b""))


def is_alive(target: Target) -> bool:
    """Whether the guard decides calls now."""
    try:
        return call(target)[0] in {200, 403}
    except (OSError, http.client.HTTPException):
        return False


def wait_until(true: Callable[[], object], seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def policy_set(target: Target) -> str:
    """The digest of the policies in force, as a refusal's explanation or the status tells it."""
    return str(json.loads(said_by(target.remit, "status", "--json"))["policies"]["set"])


@contextlib.contextmanager
def put_back(path: Path) -> Any:
    """A file's bytes are what they were after the block."""
    kept = path.read_bytes()
    try:
        yield kept
    finally:
        with contextlib.suppress(OSError):
            path.write_bytes(kept)


def end(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
