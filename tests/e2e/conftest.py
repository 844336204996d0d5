"""A whole Remit, started as a user starts it, guarding a real model server."""

import json
import os
import pwd
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REMIT = str(Path(sys.executable).with_name("remit"))
READY_SECONDS = 60
ME = pwd.getpwuid(os.getuid()).pw_name


class Remit:
    """One running `remit up --json`, and the commands spoken to it."""

    def __init__(self, state: Path, *arguments: str, owner: str = ME, environ: dict[str, str] | None = None) -> None:
        self.state = state
        without_a_terminal(state)
        self.environ = {**os.environ, **(environ or {})}
        self.events: list[dict[str, Any]] = []
        self.ready: dict[str, Any] = {}
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = subprocess.Popen(
            [REMIT, "up", "--json", "--state", str(state), "--owner", owner, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def event(self, name: str, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """The next event of that name; fails when the program ends or is silent before it."""
        while True:
            event = self._queue.get(timeout=seconds)
            if event is None:
                said = self.process.stderr.read().decode() if self.process.stderr else ""
                raise AssertionError(f"remit ended before `{name}`: {self.events} {said}")
            self.events.append(event)
            if event["event"] == "ready":
                self.ready = event
            if event["event"] == name:
                return event

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `remit` command against this instance."""
        done = subprocess.run(  # noqa: PLW1510 (asserted below, with what it said)
            [REMIT, *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        finally:
            self.process.kill()
            self._reader.join(5)
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
        return status


def without_a_terminal(state: Path) -> None:
    """Let commands act that stand in no terminal, as in anybody's scripts, where the configuration says nothing."""
    config = state / "config.toml"
    said = config.read_bytes() if config.is_file() else b""
    if b"[proof]" not in said and state.is_dir() and not config.is_dir():
        config.write_bytes(said + b'\n[proof]\nneeds = "uid"\n')


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    """A Remit that found no server and guards its own demonstration server."""
    state = tmp_path_factory.mktemp("state")
    (state / "config.toml").write_text("[discovery]\nlook = false\n[gateway]\nport = 17400\n")
    running = Remit(state)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def ready(remit: Remit) -> dict[str, Any]:
    return remit.event("ready")


@pytest.fixture(scope="module")
def guarded(ready: dict[str, Any]) -> dict[str, Any]:
    assert len(ready["guarded"]) == 1
    server: dict[str, Any] = ready["guarded"][0]
    return server
