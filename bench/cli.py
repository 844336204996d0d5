"""How long `remit --help` takes, beside a Python that does nothing."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Part, Row

LIMIT_MS = 150


def run(quick: bool) -> Part:
    """Interleaved; medians. The first of each is left out: it fills the disk cache."""
    commands = {
        "remit": [str(Path(sys.executable).with_name("remit")), "--help"],
        "python": [sys.executable, "-c", "pass"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(8 if quick else 31):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took[name].append((time.perf_counter() - begun) * 1000)
    ours, bare = (statistics.median(times[1:]) for times in took.values())
    row = Row("`remit --help`", "≤ 150 ms", f"{ours:.0f} ms", ours <= LIMIT_MS, f"bare `python` {bare:.0f} ms")
    return Part("help", (row,), notes=f"Medians of {len(took['remit']) - 1} interleaved starts.")
