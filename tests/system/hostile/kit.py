"""What every try has: the target as it can be found out by anybody, ways to call it, and the list of tries."""

import contextlib
import hashlib
import http.client
import os
import pty
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 6.0  # a try waits for nothing longer than this

# What a try says it got: facts that somebody else can look at. It is judged outside the hostile program, by `effect`.
Claim = dict[str, Any]


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
    def guards(self) -> list[int]:
        """The processes of Remit that hold what is worth having: control and the gateway workers."""
        return [int(self.ready["pid"]), *self.ready["workers"].values()]


@dataclass(frozen=True)
class Try:
    """One. `effect` names what is looked at to judge its claim; `stops` what stands in its way in system mode,
    `takes` the programs that it needs."""

    family: str
    name: str
    sentence: str
    effect: str
    stops: str
    run: Callable[[Target], Any]
    takes: tuple[str, ...] = ()


NOT_HERE = "not tried here"
TRIES: dict[str, Try] = {}
SAID: list[str] = [""]  # the last that was said to this program: why a try came to nothing
Run = Callable[[Target], Any]


def attempt(name: str, sentence: str, effect: str, stops: str, *takes: str) -> Callable[[Run], Run]:
    """A try: it returns its claim, or yields it and takes back what it did when it is resumed."""

    def add(run: Run) -> Run:
        TRIES[name] = Try(run.__module__.rpartition(".")[2], name, sentence, effect, stops, run, takes)
        return run

    return add


def begin(one: Try, target: Target) -> tuple[Claim | None, str, Iterator[Claim] | None]:
    """Make a try: its claim, why there is none, and what takes it back. A refusal by the system is no claim."""
    try:
        for tool in one.takes:
            if shutil.which(tool) is None:
                return None, f"{NOT_HERE}: no {tool}", None
        made = one.run(target)
        if made is None or isinstance(made, dict):
            return made, SAID[0], None
        return next(made, None), SAID[0], made
    except (
        OSError,
        sqlite3.Error,
        subprocess.SubprocessError,
        http.client.HTTPException,
        ValueError,
        LookupError,
    ) as failed:
        return None, f"{type(failed).__name__}: {failed}", None


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def call(target: Target, path: str = "/v1/models", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """One GET at the guarded door."""
    door = http.client.HTTPConnection("127.0.0.1", target.port, timeout=SECONDS)
    with contextlib.closing(door):
        door.request("GET", path, headers=headers or {})
        reply = door.getresponse()
        SAID[0] = (said := reply.read()).decode(errors="replace")
        return reply.status, said


def start_task(target: Target) -> list[str]:
    return [target.remit, "task", "start", target.server, "--allow", "disclose", "--for", "5m", "--purpose", "mine"]


def heard(said: str) -> str:
    """What was said, kept in case the try comes to nothing."""
    SAID[0] = said[-400:]
    return said


def token_in(said: str) -> Claim | None:
    """The claim of a task's token in what a command said."""
    heard(said)
    words = said.replace('"', " ").replace("=", " ").replace("\0", " ").split()
    return next(({"token": word} for word in words if word.startswith("remit_task_")), None)


def said_by(*command: str, environ: dict[str, str] | None = None, seconds: float = SECONDS) -> str:
    """What a command says; on time-out, what it had said by then. It has no terminal."""
    given = {**os.environ, **(environ or {})}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=given, text=True, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            return str(process.communicate(timeout=seconds)[0])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return str(process.communicate()[0])


def typed(
    command: list[str], seconds: float = SECONDS, environ: dict[str, str] | None = None, key: bytes = b""
) -> str:
    """What a command says on a terminal that this program holds. Where it waits, `key` is typed (else `y`)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, {**os.environ, **(environ or {})})
    said, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1.5)[0]:
            with contextlib.suppress(OSError):
                os.write(terminal, (key or b"y") + b"\n")
            continue
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode(errors="replace")


def library(code: str) -> str:
    """A shared library of its own, to be loaded into another program."""
    source, library = Path("/tmp/mine.c"), Path("/tmp/mine.so")
    source.write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    return str(library)


def unix_get(path: str, what: str) -> bytes:
    """One GET at a unix socket, raw."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(path)
        line.sendall(f"GET {what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: line.recv(65536), b""))


def wait_until(true: Callable[[], object], seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def put_back(path: Path) -> Iterator[bytes]:
    """A file's bytes are what they were after the block."""
    kept = path.read_bytes()
    try:
        yield kept
    finally:
        with contextlib.suppress(OSError):
            path.write_bytes(kept)


def answer_mine(listener: socket.socket) -> None:
    """Answer each that connects to a socket of this program's own as itself, in a process beside this one."""
    if os.fork():
        return
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhostile\n"
    os.closerange(0, 3)
    signal.alarm(60)
    while True:
        line, _ = listener.accept()
        with line, contextlib.suppress(OSError):
            line.settimeout(2)
            line.recv(65536)
            line.sendall(reply)
