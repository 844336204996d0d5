"""Reads a transcript and plays it: each `$ command` in bash, its output compared with the lines that follow.

`…` in a line stands for any text within it, a line of `…` alone for any lines. `[3]` after the output is the exit
code where it isn't 0. Lines beginning with `#` are for the reader. What a command exports the next ones have.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ANY = "…"
MARK = "REMIT_TRANSCRIPT"
SECONDS = 60
KEEP = "\nstatus=$?\nenv -0 >{}\nexit $status\n"


@dataclass(frozen=True)
class Step:
    """One command, what it prints, and its exit code."""

    line: int
    command: str
    output: tuple[str, ...]
    code: int


def read(path: Path) -> Iterator[Step]:
    """The steps of a transcript. A command goes on in the next line after a backslash."""
    lines = [line for line in enumerate(path.read_text().splitlines(), 1) if not line[1].startswith("#")]
    starts = [at for at, (_, text) in enumerate(lines) if text.startswith("$ ")]
    for at, until in zip(starts, [*starts[1:], len(lines)], strict=True):
        number, command = lines[at][0], lines[at][1][2:]
        rest = [text for _, text in lines[at + 1 : until]]
        while command.endswith("\\"):
            command += "\n" + rest.pop(0)
        while rest and not rest[-1]:
            rest.pop()
        code = re.fullmatch(r"\[(\d+)\]", rest[-1]) if rest else None
        yield Step(number, command, tuple(rest[:-1] if code else rest), int(code[1]) if code else 0)


def play(path: Path, environ: dict[str, str], directory: Path) -> None:
    """Run every step; AssertionError at the first that says something else."""
    environ, kept = {**environ, MARK: str(directory)}, directory / "environ"
    try:
        _play(path, environ, directory, kept)
    finally:
        for pid in _left(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _left(directory: Path) -> Iterator[int]:
    """What a transcript that stopped half-way left running in the background."""
    mark = f"{MARK}={directory}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                yield int(process.name)


def _play(path: Path, environ: dict[str, str], directory: Path, kept: Path) -> None:
    for step in read(path):
        done = subprocess.run(
            ["bash", "-c", "set -a\n" + step.command + KEEP.format(kept)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            env=environ,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        said = f"{path.name}:{step.line}: $ {step.command}\n{done.stdout}[{done.returncode}]"
        assert done.returncode == step.code, said
        differs = difference(step.output, done.stdout.splitlines())
        assert differs is None, f"{said}\n\nwritten: {differs}"
        environ = dict(item.split("=", 1) for item in kept.read_text().split("\0") if "=" in item)


def difference(written: tuple[str, ...], said: list[str]) -> str | None:
    """The first written line that the output has nothing for; None when they agree."""
    if not written:
        return None if not said else f"(nothing), and it said {said[0]!r}"
    first, rest = written[0], written[1:]
    if first == ANY:
        places = [difference(rest, said[at:]) for at in range(len(said) + 1)]
        return None if None in places else places[0]
    if not said or not matches(first, said[0]):
        return f"{first!r}, and it said {said[0]!r}" if said else f"{first!r}, and it said no more"
    return difference(rest, said[1:])


def matches(written: str, said: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, written.split(ANY))), said) is not None
