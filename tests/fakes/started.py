"""Fakes as processes of their own, and ports that nobody has."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def started(
    fake: str, *arguments: str, environ: Mapping[str, str] | None = None
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The process of `tests.fakes.FAKE` with these arguments (without a place among them: any port), its address."""
    place = () if {"--port", "--socket"} & set(arguments) else ("--port", "0")
    command = [sys.executable, "-m", f"tests.fakes.{fake}", *place, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["listening"]
        finally:
            process.kill()


def free_port() -> int:
    """A port on loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
