"""Figures of the benchmarks that print Markdown by themselves: run as a command, their tables read back."""

import subprocess
import sys

from bench.peers import ROOT

SECONDS = 900


def output(module: str, *arguments: str) -> str:
    """What `python -m MODULE ARGUMENTS` prints."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=SECONDS).stdout


def cells(text: str) -> list[list[str]]:
    """The lines of the one table in `text`, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))
