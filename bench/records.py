"""Durable audit records and their verification (bench/audit.py), held against their targets."""

import statistics

from bench.peers import SCRATCH
from bench.printed import cells, number, output
from bench.report import Part, Row, Table

RECORDS, VERIFIED = 20_000, 100_000


def run(quick: bool) -> Part:
    SCRATCH.mkdir(exist_ok=True)
    rounds = [
        cells(output("bench.audit", "--seconds", "0.5" if quick else "2", "--dir", str(SCRATCH))) for _ in range(3)
    ]
    lines = [_median(same) for same in zip(*rounds, strict=True)]
    rates = {line[0].partition(",")[0] if "verify" in line[0] else line[0]: number(line[1]) for line in lines}
    ours, verified, sqlite = rates["audit, 64 at once"], rates["verify"], rates["SQLite, one commit each"]
    row = Row(
        "durable audit records, 64 at once",
        "≥ 20,000 /s, verify ≥ 100,000 records/s",
        f"{ours:,.0f} /s, verify {verified:,.0f} records/s",
        ours >= RECORDS and verified >= VERIFIED,
        f"SQLite, one commit each {sqlite:,.0f} /s; raw write + fdatasync {rates['raw pwrite + fdatasync']:,.0f} /s",
    )
    return Part(
        "audit", (row,), (Table(("what", "per second", "p50 µs", "p99 µs"), tuple(lines)),), "Medians of three runs."
    )


def _median(same: tuple[list[str], ...]) -> tuple[str, ...]:
    """One line of the table, each figure the median of its runs."""
    figures = zip(*(line[1:4] for line in same), strict=True)
    return (same[0][0], *(f"{statistics.median(map(number, each)):,.0f}" if all(each) else "" for each in figures))
