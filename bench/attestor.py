"""The attestor: how long each answer takes, asked over a line as gateways ask, and its memory. Run as root."""

import os
import pty
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.peers import cores
from bench.report import Part, Row, Table
from remit import attestor_line as line
from remit.attestor_line import Ask
from remit.control.attestor import Attestor, start_attestor
from remit.identity.attestation import EXECUTABLES, Lineages, holders, observe
from remit.identity.attestation.asking import Lines
from remit.identity.attestation.direct import Direct
from remit.identity.attestation.eyes import look_through

LIMIT_US: Final = 150
LIMIT_MB: Final = 25
WHOLE: Final = 1 << 40
OBSERVED: Final = "`observe`, parents too"


def run(quick: bool) -> Part:
    rounds, times = (3, 500) if quick else (5, 3000)
    os.sched_setaffinity(0, {cores()[1]})
    with running() as (attestor, script, held):
        lines = Lines(attestor.lines(1))
        asked = questions(lines, script, held)
        took = {what: [measured(ask, times) for _ in range(rounds)] for what, ask in asked.items()}
        walked = {what: [measured(ask, times // 50) for _ in range(rounds)] for what, ask in whole(script).items()}
        resident = resident_mb(attestor.process.pid)
        alone = direct(script, times // 10)
    medians = {what: medians_of(rows) for what, rows in {**took, **walked}.items()}
    slowest = max(took, key=lambda what: medians[what][0])
    row = Row(
        "the attestor: an answer about one process, p50; its memory",
        f"≤ {LIMIT_US} µs, ≤ {LIMIT_MB} MB",
        f"{medians[slowest][0]:.0f} µs ({slowest}), {resident:.1f} MB",
        medians[slowest][0] <= LIMIT_US and resident <= LIMIT_MB,
        f"`observe`: {medians[OBSERVED][0]:.0f} µs, seen by oneself {alone:.0f}",
    )
    table = Table(
        ("what is asked", "p50 µs", "p99 µs"),
        tuple((what, f"{p50:,.0f}", f"{p99:,.0f}") for what, (p50, p99) in medians.items()),
    )
    count = len(holders.processes())
    notes = f"{rounds} rounds of {times:,} questions each, medians; programs were hashed before. {count} processes."
    return Part("attestor", (row,), (table,), notes)


@contextmanager
def running() -> Iterator[tuple[Attestor, int, socket.socket]]:
    """An attestor, an interpreter that runs a script, and a socket that it holds too."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        command = [sys.executable, str(Path(__file__).with_name("sleeper.py"))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[held.fileno()]) as script:
            attestor = start_attestor()
            try:
                yield attestor, script.pid, held
            finally:
                look_through(Direct())
                attestor.close()
                script.kill()


def questions(lines: Lines, pid: int, held: socket.socket) -> dict[str, Callable[[], object]]:
    most = line.MOST.pack(WHOLE)
    path = os.fsencode(Path(__file__).with_name("sleeper.py"))
    inode = os.fstat(held.fileno()).st_ino
    _, slave = pty.openpty()  # its master stays open
    index = int(os.ttyname(slave).rpartition("/")[2])
    os.close(slave)

    def search(how: int, number: int) -> bytes:
        return line.SEARCH.pack(how, 1 << 20, 1, 1) + struct.pack("=Qi", number, pid)

    def watch() -> None:
        for descriptor in lines.ask(Ask.WATCH, pid)[1]:
            os.close(descriptor)

    def at_path() -> None:
        for descriptor in lines.ask(Ask.AT_PATH, pid, most + path)[1]:
            os.close(descriptor)

    return {
        "which file it runs": lambda: lines.ask(Ask.FILE, pid),
        "that, its path and its digest": lambda: lines.ask(Ask.PROGRAM, pid, most),
        "that, and what tells when it runs it no more": watch,
        "a script or a model's file, its path and its digest": at_path,
        "whether it holds a socket": lambda: lines.ask(Ask.HELD, 0, search(line.EVERY_THREAD, inode)),
        "whether it holds a terminal's master": lambda: lines.ask(Ask.HELD, 0, search(line.MASTERS, index)),
    }


def whole(pid: int) -> dict[str, Callable[[], object]]:
    """What gateways do with the answers."""
    lineages = Lineages()
    return {
        "`observe`, parents known": lambda: observe(pid, digests=EXECUTABLES, parents=lineages.parents),
        OBSERVED: lambda: observe(pid, digests=EXECUTABLES),
        "every process that holds a socket": lambda: holders.walk([1]),
    }


def direct(pid: int, times: int) -> float:
    """`observe` without an attestor, in the same run."""
    look_through(Direct())
    return measured(lambda: observe(pid, digests=EXECUTABLES), times)[0]


def measured(ask: Callable[[], object], times: int) -> tuple[float, float]:
    """(p50, p99) in µs."""
    ask()
    took = []
    for _ in range(max(times, 20)):
        begun = time.perf_counter_ns()
        ask()
        took.append((time.perf_counter_ns() - begun) / 1000)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def medians_of(rows: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(row[0] for row in rows), statistics.median(row[1] for row in rows)


def resident_mb(pid: int) -> float:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kib] = [int(row.split()[1]) for row in rows if row.startswith("VmRSS:")]
    return kib * 1024 / 1e6
