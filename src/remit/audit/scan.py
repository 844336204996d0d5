"""One pass over one shard, as a verifier makes it: each record, mark, root, signature, and what follows the last."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from remit.audit.altered import AlteredError
from remit.audit.entry import CLOSED_PREFIX, END_PREFIX, PENDING_PREFIX
from remit.audit.note import VerifierKey, b64
from remit.audit.shard import (
    BLOCK,
    MARK_BYTES,
    MAX_BATCH,
    MAX_LINE_BYTES,
    Checkpoint,
    Opening,
    is_live,
    marks_of,
    parse_checkpoint,
)
from remit.audit.tree import Tree
from remit.errors import AuditError

SECTOR: Final = 512  # the least that a disk writes at once: a torn write is whole sectors, a hand is not
LIVE_TRIES: Final = 20  # a write under way is over in microseconds; 20 looks 2 ms apart find it so


@dataclass(frozen=True, slots=True)
class ShardVerdict:
    """One shard that is as it was written.

    `state` is `open` (its writer lives), `closed` (ended on purpose) or `unfinished` (its writer died). `tail` is the
    number of bytes after the last checkpoint, which nothing vouches for. `pending` counts starts without an end.
    """

    shard: str
    key: VerifierKey
    state: str
    records: int
    checkpoints: int
    root: bytes
    tail: int
    pending: int
    newest: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "shard": self.shard,
            "key": self.key.hash.hex(),
            "state": self.state,
            "records": self.records,
            "checkpoints": self.checkpoints,
            "root": b64(self.root),
            "tail_bytes": self.tail,
            "end_unknown": self.pending,
            "newest": self.newest,
        }


@dataclass(slots=True)
class Scan:
    """One pass over one shard, from its first byte to where its lines end."""

    path: Path
    opening: Opening
    wanted: frozenset[int]
    tree: Tree = field(default_factory=Tree)
    roots: dict[int, bytes] = field(default_factory=dict)
    pending: set[bytes] = field(default_factory=set)
    good: int = 0  # offset after the last checkpoint that holds
    checkpoints: int = 0
    last: bytes = b""

    @property
    def shard(self) -> str:
        return self.path.stem

    @property
    def origin(self) -> str:
        return self.opening.certificate.origin

    def altered(self, index: int, offset: int, what: str, line: bytes = b"") -> AlteredError:
        return AlteredError(self.shard, index, offset, what, _id_of(line))

    def verdict(self) -> ShardVerdict:
        """Steps 2 and 3; raises AlteredError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AuditError(f"audit shard `{self.path}` can't be read: {error.strerror}") from error
        try:
            live = is_live(fd)
            tail = self._read(fd, live=live)
        finally:
            os.close(fd)
        closed = self.last.startswith(CLOSED_PREFIX)
        if closed and tail:
            raise self.altered(self.tree.size, self.good, "was added after the shard was closed")
        if not self.tree.size:
            raise self.altered(0, 0, "has no checkpoint")
        state = "closed" if closed else "open" if live else "unfinished"
        return ShardVerdict(
            self.shard,
            self.opening.certificate.key,
            state,
            self.tree.size,
            self.checkpoints,
            self.tree.root(),
            tail,
            len(self.pending),
            _time_of(self.last),
        )

    def _read(self, fd: int, *, live: bool) -> int:
        """Take in the whole file; the number of bytes after the last checkpoint that may stay there unexplained."""
        carry = self._pass(fd)
        hole, stuck = self.good + len(carry), True
        for _ in range(LIVE_TRIES if live else 0):
            if not _beyond(fd, hole):
                stuck = False  # what its writer is writing right now is not judged: the next run sees it whole
                break
            time.sleep(0.002)  # something stands after a NUL: was that written meanwhile, or the NUL by hand?
            carry = self._pass(fd)
            before, hole = hole, self.good + len(carry)
            stuck = hole == before
        self._check_tail(carry)
        return self._torn(fd, hole) if stuck else 0

    def _pass(self, fd: int) -> bytes:
        """Take in all batches from `good` on up to the first NUL; what is left over there."""
        at, carry = self.good, b""
        while block := os.pread(fd, 4 * BLOCK, at):
            at += len(block)
            hole = block.find(b"\0")
            carry = self._lines(carry + (block if hole < 0 else block[:hole]))
            if hole >= 0:
                break
        return carry

    def _lines(self, data: bytes) -> bytes:
        """Take in all batches that are whole in `data`, which begins at `good`; what is left over."""
        lines = data.split(b"\n")
        rest = lines.pop()
        batch: list[bytes] = []
        left = 0  # index in `lines` after the last checkpoint
        for number, line in enumerate(lines):
            if line[:1] == b"~":
                self._batch(batch, line)
                batch, left = [], number + 1
            else:
                batch.append(line)
        if len(batch) > MAX_BATCH:
            raise self._orphans(batch, self.tree.size)
        if len(rest) > MAX_LINE_BYTES:
            raise self.altered(
                self.tree.size + len(batch), self.good + _length(batch), "is longer than any record may be"
            )
        return b"\n".join([*lines[left:], rest])

    def _batch(self, batch: list[bytes], line: bytes) -> None:
        """Step 2 for one checkpoint and the records above it. The fast path is straight down."""
        checkpoint = parse_checkpoint(line)
        if checkpoint is None:
            raise self._bad_checkpoint(batch, line)
        leaves = [sha256(b"\x00" + record).digest() for record in batch]
        if checkpoint.marks != marks_of(leaves) or checkpoint.first != self.tree.size:
            raise self._misplaced(batch, leaves, checkpoint)
        for leaf in leaves:
            self.tree.append(leaf)
        head = checkpoint.signed_head(self.origin)
        rooted = self.tree.root() == checkpoint.root
        if not self.opening.certificate.key.signed(head.head.body(), head.signature):
            what = "is under a checkpoint that its writer did not sign"
            raise self.altered(checkpoint.first, self.good + _length(batch), what, batch[0])
        if not rooted:
            last = checkpoint.size - 1
            what = f"or a later one up to {last} is not what was signed"
            raise self.altered(checkpoint.first, self.good, what, batch[0])
        self._note(batch)
        self.good += _length(batch) + len(line) + 1
        self.checkpoints += 1
        self.last = batch[-1]
        if checkpoint.size in self.wanted:
            self.roots[checkpoint.size] = checkpoint.root

    def _note(self, batch: list[bytes]) -> None:
        """Pair starts with ends by the fixed first members of their records."""
        for record in batch:
            if record.startswith(PENDING_PREFIX):
                self.pending.add(record[len(PENDING_PREFIX) : record.find(b'"', len(PENDING_PREFIX))])
            elif record.startswith(END_PREFIX):
                self.pending.discard(record[len(END_PREFIX) : record.find(b'"', len(END_PREFIX))])

    def _bad_checkpoint(self, batch: list[bytes], line: bytes) -> AlteredError:
        """A line that begins like a checkpoint and is none: is it one that was altered, or a record?"""
        where = self.good + _length(batch)
        if line.endswith(b"}") and not line[1:2].isdigit():
            return self.altered(self.tree.size + len(batch), where, "was altered", line)
        return self.altered(self.tree.size, where, "is under a checkpoint that was altered", b"".join(batch[:1]))

    def _misplaced(self, batch: list[bytes], leaves: list[bytes], checkpoint: Checkpoint) -> AlteredError:
        """Name the first record that is not the one which this checkpoint marks."""
        size, head = self.tree.size, checkpoint.signed_head(self.origin)
        signed = self.opening.certificate.key.signed(head.head.body(), head.signature)
        if checkpoint.first != size and not signed:
            return self._bad_checkpoint(batch, b"~")
        if checkpoint.first < size:
            return self.altered(size, self.good, "was inserted or repeated", b"".join(batch[:1]))
        if checkpoint.first > size:
            marked = checkpoint.size - checkpoint.first
            extra = len(batch) - marked
            if extra > 0 and marks_of(leaves[extra:]) == checkpoint.marks:
                return self._orphans(batch[:extra], size)
            return self.altered(size, self.good, f"is missing: the next checkpoint begins at {checkpoint.first}")
        marks = [checkpoint.marks[at : at + MARK_BYTES] for at in range(0, len(checkpoint.marks), MARK_BYTES)]
        return self._first_difference(batch, [leaf[:MARK_BYTES] for leaf in leaves], marks)

    def _first_difference(self, batch: list[bytes], found: list[bytes], marks: list[bytes]) -> AlteredError:
        same = next(
            (at for at, (one, other) in enumerate(zip(found, marks, strict=False)) if one != other),
            min(len(found), len(marks)),
        )
        index, where = self.tree.size + same, self.good + _length(batch[:same])
        line = b"".join(batch[same : same + 1])
        if same < len(marks) and marks[same] in found[same + 1 :]:
            return self.altered(index, where, "was inserted, or stands out of order", line)
        if same < len(found) and found[same] in marks[same + 1 :]:
            return self.altered(index, where, "is missing, or stands out of order")
        if same == len(found):
            return self.altered(index, where, "is missing")
        return self.altered(index, where, "was altered" if same < len(marks) else "was inserted", line)

    def _orphans(self, lines: list[bytes], size: int) -> AlteredError:
        """Records that no checkpoint covers: name the first line that is no record, or the first of all."""
        for at, line in enumerate(lines):
            where = self.good + _length(lines[:at])
            if _like_checkpoint(line):
                return self.altered(size, where, "is under a checkpoint that was altered", lines[0])
            if not (line.startswith(b'{"kind":"') and line.endswith(b"}")):
                return self.altered(size + at, where, "was altered", line)
        return self.altered(size, self.good, "is under a checkpoint that is missing", lines[0])

    def _check_tail(self, carry: bytes) -> None:
        """Step 3: `carry` follows the last good checkpoint. Each whole line in it must be a writer's."""
        *lines, cut = carry.split(b"\n")
        for at, line in enumerate(lines):
            if not (line.startswith(b'{"kind":"') and line.endswith(b"}")):
                raise self._orphans(lines[: at + 1], self.tree.size)
        if cut.startswith(b"~") and parse_checkpoint(cut[:-1]) is not None and parse_checkpoint(cut) is None:
            raise self._bad_checkpoint(lines, cut)

    def _torn(self, fd: int, hole: int) -> int:
        """The length of an unfinished write, first NUL at `hole`: holes are whole sectors, or made by hand."""
        end, at = hole, hole
        while block := os.pread(fd, BLOCK, at):
            data = block.rstrip(b"\0")
            if data and end == hole and not self._sectors(hole, at + len(data) - len(data.lstrip(b"\0"))):
                raise self.altered(self.tree.size, self.good, "or one after it was cut by a NUL byte")
            end = at + len(data) if data else end
            at += len(block)
        return end - self.good

    def _sectors(self, hole: int, end: int) -> bool:
        return (hole == self.good or hole % SECTOR == 0) and end % SECTOR == 0


def _beyond(fd: int, hole: int) -> bool:
    """Whether anything but zeros stands after the byte at `hole`."""
    while block := os.pread(fd, BLOCK, hole):
        if block.strip(b"\0"):
            return True
        hole += len(block)
    return False


def _length(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)


def _like_checkpoint(line: bytes) -> bool:
    """Whether only the first byte keeps this line from being a checkpoint."""
    return parse_checkpoint(b"~" + line[1:]) is not None


def _id_of(line: bytes) -> str:
    """The id that a line states, if it can still be read."""
    try:
        row = json.loads(line)
        return str(row.get("id") or row.get("subject") or "") if isinstance(row, dict) else ""
    except (ValueError, RecursionError):
        return ""


def _time_of(line: bytes) -> float:
    try:
        return float(json.loads(line)["t"])
    except (ValueError, KeyError, TypeError):
        return 0.0
