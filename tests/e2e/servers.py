"""Fake servers as processes of their own, with a record of what arrived; a Remit that guards them."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Remit
from tests.fakes.started import started
from tests.faults.world import running


@dataclass(frozen=True)
class Recorded:
    """A fake server in another process. `requests` reads what has arrived so far, oldest first."""

    kind: str
    address: str
    pid: int
    file: Path

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def paths(self) -> list[str]:
        return [f"{one['method']} {one['path']}" for one in self.requests]


@contextmanager
def fake(kind: str, directory: Path, *arguments: str) -> Iterator[Recorded]:
    """`kind` is `vllm`, `ollama` or `lmstudio`."""
    record = directory / f"{kind}.jsonl"
    with started(f"fake_{kind}", "--record", str(record), *arguments) as (process, address):
        yield Recorded(kind, address, process.pid, record)


@contextmanager
def guarding(state: Path, port: int, *servers: str, more: str = "") -> Iterator[Remit]:
    """A ready Remit that guards exactly `servers`, or its demonstration server when there are none.

    `more` is put behind its settings.
    """
    state.mkdir(parents=True, exist_ok=True)
    (state / "config.toml").write_text(
        f"[discovery]\nlook = false\nservers = {json.dumps(servers)}\n[gateway]\nport = {port}\n{more}"
    )
    with running(state) as remit:
        yield remit


@contextmanager
def guarded_fakes(
    directory: Path, port: int, *kinds: str, delay: float = 0
) -> Iterator[tuple[Remit, dict[str, Recorded]]]:
    """Fakes of these kinds, all guarded by one Remit; its `ready` event has them in this order.

    `delay` is seconds between two pieces of a stream.
    """
    with ExitStack() as stack:
        fakes = {kind: stack.enter_context(fake(kind, directory, "--delay", str(delay))) for kind in kinds}
        addresses = (one.address for one in fakes.values())
        yield stack.enter_context(guarding(directory / "state", port, *addresses)), fakes


def start_task(remit: Remit, on: str, allow: str, lasting: str = "5m") -> tuple[str, str]:
    """A new task's id and token."""
    told = remit.run("task", "start", on, "--allow", allow, "--for", lasting, "--json").stdout
    answer = json.loads(told)
    return answer["task"]["id"], answer["token"]


def nobody() -> dict[str, Any]:
    """subprocess arguments for a process of uid 65534 that has nothing of ours; needs root."""
    return {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/", "env": {"PATH": os.environ["PATH"]}}
