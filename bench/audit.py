"""What it costs to write a record durably and to verify the log; raw fdatasync and SQLite in the same run.

Run: `python bench/audit.py [--seconds 2] [--dir DIR]` (DIR on the disk to be measured). Prints a markdown table.
"""

import argparse
import asyncio
import contextlib
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import uvloop

from remit.audit import AuditLog, ProcessFacts, RootKey, Start, WriterKey, certify, shard_name
from remit.audit.entry import encode
from remit.audit.verify import verify

DOMAIN = "bench.local"
VERIFIED_RECORDS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each row is measured")
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="where the files go")
    options = parser.parse_args()
    size = len(encode(start(0)))
    print(
        f"One record is {size} bytes; p50 and p99 in µs.\n\n| what | per second | p50 | p99 |\n|---|---:|---:|---:|"
    )
    with tempfile.TemporaryDirectory(dir=options.dir, prefix=".bench-audit-") as place:
        raw(Path(place), size, options.seconds)
        sqlite(Path(place), options.seconds)
        book = Book(Path(place))
        for at_once in (1, 64):
            log = book.open()
            report(f"audit, {at_once} at once", uvloop.run(durable(log, at_once, options.seconds)), options.seconds)
            log.close(t=time.time(), m=time.monotonic())
        verified(book)


class Book:
    """A log and its root key."""

    def __init__(self, place: Path) -> None:
        self.directory = place / "audit"
        self.root = RootKey.open(place / "audit.key", self.directory / "audit.pub", DOMAIN)

    def open(self, directory: Path | None = None) -> AuditLog:
        now = time.time()
        shard = shard_name("bench", now)
        key = WriterKey.fresh(DOMAIN, shard)
        certificate = certify(self.root, DOMAIN, shard, key.verifier.public, now)
        return AuditLog.open(directory or self.directory, key, certificate, t=now, m=time.monotonic())


async def durable(log: AuditLog, at_once: int, seconds: float) -> list[float]:
    """Each of `at_once` tasks awaits one record after another, as calls of a gateway do."""
    spent: list[float] = []
    until = time.perf_counter() + seconds

    async def write() -> None:
        while (begin := time.perf_counter()) < until:
            await log.record(start(len(spent)), b"")
            spent.append((time.perf_counter() - begin) * 1e6)

    await asyncio.gather(*(write() for _ in range(at_once)))
    return spent


def raw(place: Path, size: int, seconds: float) -> None:
    """The same bytes, over blocks that are written already: the least that a durable record can cost."""
    fd = os.open(place / "raw", os.O_RDWR | os.O_CREAT, 0o600)
    room = 16 << 20
    os.pwrite(fd, bytes(room), 0)
    os.fsync(fd)
    spent: list[float] = []
    until = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < until:
        os.pwrite(fd, b"x" * size, len(spent) * size % (room - size))
        os.fdatasync(fd)
        spent.append((time.perf_counter() - begin) * 1e6)
    os.close(fd)
    report("raw pwrite + fdatasync", spent, seconds)


def sqlite(place: Path, seconds: float) -> None:
    """One commit a record, WAL, synchronous=FULL: what a log in a database would cost."""
    with contextlib.closing(sqlite3.connect(place / "peer.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE log (at INTEGER PRIMARY KEY, stored BLOB)")
        spent: list[float] = []
        until = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < until:
            db.execute("INSERT INTO log (stored) VALUES (?)", (encode(start(len(spent))),))
            spent.append((time.perf_counter() - begin) * 1e6)
    report("SQLite, one commit each", spent, seconds)


def verified(book: Book) -> None:
    """Verify a log that was written 64 at a time."""
    directory = book.directory.parent / "verified"
    log = book.open(directory)

    async def fill() -> None:
        for first in range(0, VERIFIED_RECORDS, 64):
            await asyncio.gather(*(log.record(start(n), b"") for n in range(first, first + 64)))

    uvloop.run(fill())
    log.close(t=time.time(), m=time.monotonic())
    begin = time.perf_counter()
    verdict = verify(directory, book.root.verifier, None, time.time())
    rate = verdict.records / (time.perf_counter() - begin)
    checkpoints = sum(shard.checkpoints for shard in verdict.shards)
    print(f"| verify, {verdict.records:,} records under {checkpoints:,} checkpoints | {rate:,.0f} | | |")


def report(what: str, spent: list[float], seconds: float) -> None:
    spent.sort()
    middle, late = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
    print(f"| {what} | {len(spent) / seconds:,.0f} | {middle:,.0f} | {late:,.0f} |", flush=True)


def start(n: int) -> Start:
    """A record as the gateway writes it before a call."""
    return Start(
        id=f"01JD{n:022d}",
        outcome="allowed",
        person="p-1234567890abcdef",
        workload=f"spiffe://{DOMAIN}/user/p-1234567890abcdef",
        proof="loopback",
        process=ProcessFacts(5120, 1000, "curl", "/usr/bin/curl", "77" * 32),
        task=None,
        action="infer",
        resource=f"spiffe://{DOMAIN}/inference/llama-4121",
        route="POST /v1/chat/completions",
        dialect="openai",
        model="SmolLM2-135M-Instruct",
        model_digest="sha256:" + "9c" * 32,
        policies=(),
        rule="owner-infers",
        reason="",
        missing="",
        found={},
        policy_set="sha256:" + "0b" * 32,
        epoch=7,
        grade="C",
        body="hmac-sha256:" + "ab" * 32,
        t=time.time(),
        m=time.monotonic(),
    )


if __name__ == "__main__":
    main()
