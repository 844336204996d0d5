"""How fast a model's weights are hashed, beside what a core hashes at all, and what it costs once they are known."""

import hashlib
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import Part, Row
from remit.models import DigestCache, digest_file, unchanged
from remit.models.digest import READ_BYTES, SETTLED_NS, FileState

SPARSE = 20 << 30
TO_REACH = 700  # MB/s a core, MB of 10^6 bytes


def run(quick: bool) -> Part:
    """A sparse file: what is measured is reading through the page cache and hashing, not a disk."""
    size = SPARSE // 10 if quick else SPARSE
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.gguf"
        with path.open("wb") as file:
            os.truncate(file.fileno(), size)
        time.sleep(SETTLED_NS / 1e9 + 0.2)
        cache = DigestCache()
        wall, cpu = _took(path, cache)
        cached, _ = _took(path, cache)
        state = FileState.at(str(path))
        assert state is not None
        begun = time.perf_counter()
        assert all(unchanged([(str(path), state)]) for _ in range(10_000))
        look = (time.perf_counter() - begun) * 100
    speed = size / cpu / 1e6
    floor = statistics.median(_bare() for _ in range(5))
    gb = size >> 30
    return Part(
        "weights",
        (
            Row(
                f"hashing a sparse model of {gb} GiB, per core",
                f"≥ {TO_REACH} MB/s",
                f"{speed:.0f} MB/s ({wall:.1f} s, {cpu:.1f} s of CPU)",
                speed >= TO_REACH,
                f"SHA-256 of memory {floor:.0f} MB/s",
            ),
            Row("the same file again", "0 bytes read", f"{cached * 1e6:.0f} µs", cached < 0.1, ""),
        ),
        notes=f"A look at each request whether one file is still the same: {look:.1f} µs.",
    )


def _took(path: Path, cache: DigestCache) -> tuple[float, float]:
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    digest_file(str(path), cache=cache)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, cpu


def _bare() -> float:
    """MB/s of SHA-256 over one buffer in memory."""
    data, digest, begun = bytes(READ_BYTES), hashlib.sha256(), time.process_time()
    for _ in range(100):
        digest.update(data)
    return READ_BYTES * 100 / (time.process_time() - begun) / 1e6
