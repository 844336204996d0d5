"""Reading the log back: the last records, one by id, and those to come. Shows only what a checkpoint covers.

Nothing is verified here: `verify` says whether what is shown is what was written.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.audit.shard import BLOCK, SUFFIX, Checkpoint, last_lines, parse_checkpoint, shards_in
from remit.errors import AuditError, UsageError

_IDS: Final = ("id", "subject")


@dataclass(frozen=True, slots=True)
class Record:
    """Record `index` (0-based) of `shard`: the stored bytes and the checkpoint size that covers them."""

    shard: str
    index: int
    stored: bytes
    covered_by: int

    @property
    def data(self) -> dict[str, Any]:
        """What it says; a line that is no JSON object (then the log was altered) reads as kind `unreadable`."""
        try:
            row = json.loads(self.stored)
        except (ValueError, RecursionError):
            row = None
        return row if isinstance(row, dict) else {"kind": "unreadable"}

    @property
    def ref(self) -> str:
        return f"{self.shard}#{self.index}"

    def line(self) -> str:
        """One line of JSON that keeps the stored bytes as they are."""
        body = self.stored.decode("utf-8", "replace")
        return f'{{"shard":{json.dumps(self.shard)},"index":{self.index},"record":{body}}}'


def records(path: Path, offset: int = 0, index: int = 0) -> Iterator[tuple[Record, int, int]]:
    """The records of one shard from byte `offset` (a checkpoint's end) and record `index` on.

    Each comes with the offset and the index to go on from after its batch.
    """
    with _opened(path) as fd:
        carry = b""
        while block := os.pread(fd, BLOCK, offset + len(carry)):
            hole = block.find(b"\0")
            carry += block if hole < 0 else block[:hole]
            while (batch := _next_batch(carry)) is not None:
                lines, checkpoint, length = batch
                carry, offset = carry[length:], offset + length
                for at, line in enumerate(lines, index):
                    yield Record(path.stem, at, line, checkpoint.size), offset, index + len(lines)
                index += len(lines)
            if hole >= 0:
                return


def _next_batch(data: bytes) -> tuple[list[bytes], Checkpoint, int] | None:
    """The first whole batch in `data`: its records, its checkpoint, its length in bytes."""
    at = 0 if data.startswith(b"~") else data.find(b"\n~") + 1
    end = data.find(b"\n", at)
    if end < 0 or (at == 0 and not data.startswith(b"~")):
        return None
    checkpoint = parse_checkpoint(data[at:end])
    if checkpoint is None:
        raise AuditError("the audit log has a checkpoint that can't be read", hint="remit audit verify")
    return data[:at].split(b"\n")[:-1], checkpoint, end + 1


def tail(directory: Path, count: int) -> list[Record]:
    """The last `count` records of all shards together, oldest first."""
    found: list[tuple[float, Record]] = []
    for path in shards_in(directory):
        latest = float("-inf")
        for record in _last(path, count):  # a clock that was set back must not reorder one shard
            latest = max(latest, _time(record))
            found.append((latest, record))
    found.sort(key=lambda pair: pair[0])
    return [record for _, record in found[-count:]] if count > 0 else []


def find(directory: Path, wanted: str) -> list[Record]:
    """All records about `wanted`: a decision id, the subject of an act, or `SHARD#INDEX`. Newest shard first."""
    shard, hash_sign, index = wanted.partition("#")
    if hash_sign:
        return _at(directory, shard, index)
    needle = json.dumps(wanted).encode()
    found = [
        record
        for path in reversed(shards_in(directory))
        for record, _, _ in records(path)
        if needle in record.stored and wanted in (record.data.get(name) for name in _IDS)
    ]
    if not found:
        raise AuditError(f"no record in `{directory}` is about `{wanted}`", hint="remit audit tail")
    return found


def every(directory: Path) -> Iterator[Record]:
    """All records, shard by shard."""
    for path in shards_in(directory):
        for record, _, _ in records(path):
            yield record


class Follower:
    """Follows a log that is being written: `fresh` gives the records since the last time, also of new shards."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._places: dict[str, tuple[int, int]] = {}
        for _ in self.fresh():  # what is there already is not fresh
            pass

    def fresh(self) -> Iterator[Record]:
        for path in shards_in(self._directory):
            for record, offset, index in records(path, *self._places.get(path.stem, (0, 0))):
                self._places[path.stem] = (offset, index)
                yield record


def _at(directory: Path, shard: str, index: str) -> list[Record]:
    if not index.isdecimal():
        raise UsageError(f"`{shard}#{index}` does not name a record", hint="give SHARD#INDEX, or a decision's id")
    path = directory / (shard + SUFFIX)
    if path not in shards_in(directory):
        raise AuditError(f"there is no shard `{shard}` in `{directory}`", hint="remit audit verify lists them")
    found = next((record for record, _, _ in records(path) if record.index == int(index)), None)
    if found is None:
        raise AuditError(f"shard `{shard}` has no record {index}", hint="remit audit tail")
    return [found]


def _last(path: Path, count: int) -> list[Record]:
    with _opened(path) as fd:
        lines, checkpoint = last_lines(fd, count)
    if checkpoint is None:
        return []
    lines = lines[-count:] if count > 0 else []
    first = checkpoint.size - len(lines)
    return [Record(path.stem, first + at, line, checkpoint.size) for at, line in enumerate(lines)]


def _time(record: Record) -> float:
    stated = record.data.get("t")
    return float(stated) if isinstance(stated, int | float) else float("-inf")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise AuditError(
            f"audit shard `{path}` can't be read: {error.strerror}", hint="run it as its owner"
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)
