"""Governed calls: requests/s on one core, new connections/s, and the latency added at one kept-alive connection."""

import os
import statistics
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.load import Rate, closed_loop, new_connections
from bench.peers import Peer, cores, on_core, running
from bench.report import Part, Row, Table

KEPT: Final = 64
RECORD_BYTES: Final = 1000  # a start record and its checkpoint


def run(quick: bool) -> Part:
    """Interleaved rounds over all peers; medians of the rounds."""
    seconds, rounds = (1.0, 3) if quick else (3.0, 5)
    rates: dict[str, list[tuple[Rate, Rate, Rate]]] = {}
    syncs = []
    with running("nginx", "litellm", "remit") as peers:
        for _ in range(rounds):
            for peer in peers.peers:
                rates.setdefault(peer.name, []).append(_round(peer, seconds))
            with on_core(cores()[0]):
                syncs.append(raw_sync_us(peers.audit, 300))
    medians = {name: tuple(_median(column) for column in zip(*rows, strict=True)) for name, rows in rates.items()}
    sync = statistics.median(syncs)
    return Part("gateway", _rows(medians, sync), (_table(medians),), _notes(sync, rounds, seconds))


def _round(peer: Peer, seconds: float) -> tuple[Rate, Rate, Rate]:
    """One kept connection, many, and new ones; the slow peer gets longer, so that it answers often enough."""
    long = 3.0 if peer.name == "litellm" else 1.0
    one = uvloop.run(closed_loop(peer, 1, seconds / 2 * long))
    many = uvloop.run(closed_loop(peer, KEPT, seconds * long, warm=0.5 * long))
    fresh = uvloop.run(new_connections(peer, 16, seconds / 2 * long))
    return one, many, fresh


def raw_sync_us(directory: Path, count: int) -> float:
    """Median µs of a 1,000-byte write and fdatasync into written blocks, as the log's commit makes them."""
    path = directory / "raw-sync"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.pwrite(fd, bytes(RECORD_BYTES * count), 0)
        os.fsync(fd)
        took = []
        for number in range(count):
            begun = time.perf_counter_ns()
            os.pwrite(fd, b"x" * RECORD_BYTES, number * RECORD_BYTES)
            os.fdatasync(fd)
            took.append((time.perf_counter_ns() - begun) / 1000)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(took)


def _median(rates: tuple[Rate, ...]) -> Rate:
    fields = ("per_second", "cpu_us", "p50_us", "p99_us")
    return Rate(*(statistics.median(getattr(rate, field) for rate in rates) for field in fields))


def _rows(medians: dict[str, tuple[Rate, ...]], sync: float) -> tuple[Row, ...]:
    one, many = medians["remit"][0], medians["remit"][1]
    beside = [f"{name} {rates[1].per_second:,.0f}" for name, rates in medians.items() if name != "remit"]
    met = many.per_second >= 4000
    ratio = ""
    if "litellm" in medians:
        times = many.per_second / medians["litellm"][1].per_second
        met, ratio = met and times >= 30, f" ({times:.0f} × LiteLLM)"
    added = one.p50_us - medians["nginx"][0].p50_us
    return (
        Row(
            "governed calls, 64 kept-alive connections",
            "≥ 4,000 req/s a core, ≥ 30 × LiteLLM",
            f"{many.per_second:,.0f} req/s{ratio}",
            met,
            ", ".join(beside),
        ),
        Row(
            "added latency at 1 kept-alive connection, p50",
            "≤ raw fdatasync + 0.35 ms over nginx",
            f"{added / 1000:.2f} ms over nginx (limit {sync / 1000 + 0.35:.2f})",
            added <= sync + 350,
            f"fdatasync {sync / 1000:.2f} ms; "
            + ", ".join(f"{name} {rates[0].p50_us / 1000:.2f} ms" for name, rates in medians.items()),
        ),
    )


def _table(medians: dict[str, tuple[Rate, ...]]) -> Table:
    head = ("by way of", "req/s, 64 kept", "CPU µs a request", "p50 / p99 ms")
    more = ("new connections/s", "CPU µs each", "1 kept: p50 / p99 ms")
    return Table((*head, *more), tuple(_line(name, *rates) for name, rates in medians.items()))


def _line(name: str, one: Rate, many: Rate, fresh: Rate) -> tuple[str, ...]:
    return (
        name,
        f"{many.per_second:,.0f}",
        f"{many.cpu_us:.0f}" if many.cpu_us else "–",
        f"{many.p50_us / 1000:.2f} / {many.p99_us / 1000:.2f}",
        f"{fresh.per_second:,.0f}",
        f"{fresh.cpu_us:.0f}" if fresh.cpu_us else "–",
        f"{one.p50_us / 1000:.3f} / {one.p99_us / 1000:.3f}",
    )


def _notes(sync: float, rounds: int, seconds: float) -> str:
    return (
        f"{rounds} interleaved rounds of {seconds:g} s (LiteLLM three times as long), medians. Raw write and sync "
        f"of 1,000 bytes in the log's directory: {sync:.0f} µs. CPU is the proxy process: for Remit the gateway "
        "worker with all its threads."
    )
