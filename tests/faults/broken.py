"""A state whose code is known, ways to break it, and `remit break-glass open` held by a process of the test."""

import contextlib
import json
import os
import queue
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.conftest import ME, REMIT, Remit
from tests.faults.world import Reply, ask, chat_body, configure, until

HEADER = "remit-break-glass"
REASON = "the policies lock everybody out"
SECONDS = 40


@dataclass(frozen=True)
class Sealed:
    """A state that Remit ran in, cleanly stopped; the code that it showed; the server that it guarded."""

    state: Path
    code: str
    server: str
    port: int

    def copy(self, to: Path) -> "Sealed":
        shutil.copytree(self.state, to, symlinks=True)
        return Sealed(to, self.code, self.server, self.port)

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.said("break-glass", "list")["openings"]
        return found

    def said(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [REMIT, *arguments, "--state", str(self.state)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def call(self, prompt: str = "hello") -> Reply:
        """A chat of ours, through the gateway."""
        return ask(self.port, "POST", "/v1/chat/completions", chat_body(prompt, model="org/tiny"))


def seal_one(state: Path, server: str, port: int) -> Sealed:
    """Let Remit run once, so that there is everything that a state has."""
    configure(state, port, server)
    remit = Remit(state)
    try:
        remit.event("ready")
        code = next((one["code"] for one in remit.events if one["event"] == "sealed"), "")
        code = code or remit.event("sealed")["code"]
        ask(port)
    finally:
        remit.stop()
    return Sealed(state, code, server, port)


class Held:
    """A running `remit break-glass open --json`."""

    def __init__(
        self,
        sealed: Sealed,
        *,
        seconds: int = SECONDS,
        code: str = "",
        environ: Mapping[str, str] | None = None,
        by: Sequence[str] = (),
    ) -> None:
        command = [*by, REMIT, "break-glass", "open", "--reason", REASON, "--for", f"{seconds}s"]
        self.process = subprocess.Popen(
            [*command, "--code-stdin", "--json", "--state", str(sealed.state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environ or {})},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(f"{code or sealed.code}\n".encode())
        self.process.stdin.close()
        self.events: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def event(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """The next event of that name; fails when it ends before."""
        while True:
            event = self._queue.get(timeout=seconds)
            assert event is not None, f"it ended before `{name}`: {self.events} {self.said()}"
            self.events.append(event)
            if event["event"] == name:
                return event

    def said(self) -> str:
        self.process.wait(60)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def control(self) -> int:
        """The pid of the instance, which this command only holds."""
        return int(self.event("ready")["pid"])

    def end(self) -> int:
        """Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self._reader.join(5)
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()


@contextlib.contextmanager
def held(sealed: Sealed, **how: Any) -> Iterator[Held]:
    """One that is ended, whatever happened."""
    holding = Held(sealed, **how)
    try:
        yield holding
    finally:
        holding.end()


def person() -> str:
    return ME


def no_policies(here: Sealed) -> None:
    (here.state / "policies" / "mine.cedar").write_text("permit (everything);")


def forbidden(here: Sealed) -> None:
    """They load, and lock everybody out; and control can't start for another reason."""
    (here.state / "policies" / "mine.cedar").write_text('@id("nobody") forbid (principal, action, resource);')
    (here.state / "state.db").write_bytes(b"no database")


def damaged(here: Sealed) -> None:
    (here.state / "state.db").write_bytes(b"no database" * 999)


def truncated(here: Sealed) -> None:
    database = here.state / "state.db"
    database.write_bytes(database.read_bytes()[: 9 << 10])
    for name in ("state.db-wal", "state.db-shm"):
        (here.state / name).unlink(missing_ok=True)


def a_directory(here: Sealed) -> None:
    (here.state / "state.db").unlink()
    (here.state / "state.db").mkdir()


def missing(here: Sealed) -> None:
    """Then nothing says any more which trust domain the keys are of."""
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (here.state / name).unlink(missing_ok=True)


def mended(here: Sealed, sealed: Sealed) -> None:
    missing(here)
    shutil.copy(sealed.state / "state.db", here.state / "state.db")


def a_newer_one(here: Sealed) -> None:
    with contextlib.closing(sqlite3.connect(here.state / "state.db")) as database, database:
        database.execute("update alembic_version set version_num = '9999'")


def keys_open_to_others(here: Sealed) -> None:
    (here.state / "keys" / "authority.json").chmod(0o644)


def no_log_key(here: Sealed) -> None:
    (here.state / "audit.key").write_bytes(b"no key")


def assert_nobody_serves(here: Sealed) -> None:
    """Nothing started that opening's instance again, and its gateway is gone or lets nobody in by it."""

    def gone() -> bool:
        try:
            return HEADER not in ask(here.port).headers
        except OSError:
            return True

    until(gone, "its gateway lets nobody in")
    assert not (here.state / "run" / "control.sock").exists() or here.run("status").returncode != 0
