"""A whole Remit in front of a server that can be made to misbehave, and the raw ways to speak to it."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Remit
from tests.fakes.started import started

CHAT = "/v1/chat/completions"
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Reply:
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def configure(state: Path, port: int, server: str | None, more: str = "", top: str = "") -> None:
    """Write a configuration that guards `server` alone (none: the demonstration server), from `port` on."""
    state.mkdir(parents=True, exist_ok=True)
    servers = f'servers = ["{server}"]\n' if server else ""
    text = f"{top}\n[discovery]\nlook = false\n{servers}[gateway]\nport = {port}\n{more}"
    (state / "config.toml").write_text(text)


@contextmanager
def running(state: Path, *arguments: str, environ: dict[str, str] | None = None) -> Iterator[Remit]:
    """A Remit that is ready, stopped at the end whatever happened."""
    remit = Remit(state, *arguments, environ=environ)
    try:
        remit.event("ready")
        yield remit
    finally:
        remit.stop()


@contextmanager
def apart() -> Iterator[str]:
    """The awkward server in a process of its own, where commands of this one don't run under it; its address."""
    with started("awkward_server") as (_, address):
        yield address


def ready_of(remit: Remit) -> dict[str, Any]:
    """What the last `ready` event said."""
    return [event for event in remit.events if event["event"] == "ready"][-1]


def port_of(remit: Remit) -> int:
    return int(ready_of(remit)["guarded"][0]["url"].rsplit(":", 1)[1])


def chat_body(prompt: str, *, stream: bool = False, **more: Any) -> bytes:
    message = {"role": "user", "content": prompt}
    return json.dumps({"model": "m", "messages": [message], "stream": stream, **more}).encode()


def ask(
    port: int,
    method: str = "GET",
    path: str = "/v1/models",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own; the whole reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def chat(port: int, prompt: str = "hello", *, stream: bool = False) -> Reply:
    return ask(port, "POST", CHAT, chat_body(prompt, stream=stream))


def raw_chat(port: int, prompt: str, *, stream: bool = True, **more: Any) -> socket.socket:
    """A chat sent on a raw socket; the caller reads, and hangs up as it likes. `more` is of the request's body."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    body = chat_body(prompt, stream=stream, **more)
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sock.sendall(head.encode() + body)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """What comes until the other side closes or resets."""
    said = b""
    try:
        while piece := sock.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `true()` is, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return value


def records(state: Path) -> list[dict[str, Any]]:
    """Every record in the log's shards as they are on disk, the half-written line of a running writer left out."""
    found = []
    for shard in sorted((state / "audit").glob("*.log")):
        lines = shard.read_bytes().split(b"\0", 1)[0].split(b"\n")
        found += [json.loads(line) for line in lines if line.startswith(b'{"kind"') and line.endswith(b"}")]
    return found


def end_of(state: Path, decision: str) -> dict[str, Any]:
    """The end record of one call, once it is there."""

    def look() -> dict[str, Any] | None:
        return next((r for r in records(state) if r["kind"] == "end" and r["id"] == decision), None)

    found: dict[str, Any] = until(look, f"the end record of {decision}")
    return found


def status_of(remit: Remit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(remit.run("status", "--json").stdout)
    return found


def processes(state: Path) -> dict[int, str]:
    """Every process of the instance at `state`: control by its arguments, its children by their parents."""
    rows = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if stat[0] != "Z":
                rows[int(entry.name)] = (int(stat[1]), line)
    found = {pid for pid, (_, line) in rows.items() if f"--state {state}" in line}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in rows.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: rows[pid][1] for pid in found}


def kill_all(remit: Remit) -> None:
    """Every process of this Remit at once, as the end of power does it."""
    for pid in processes(remit.state):
        kill(pid)
    remit.process.wait(5)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
