"""The shard: one append-only file a writer start, in lines. Its format, its name, its header, its last checkpoint.

    {"kind":"header",…}                        a record: exactly these bytes are the RFC 6962 leaf
    {"kind":"start",…}
    ~2 ROOT SIGNATURE MARKS                    a checkpoint: covers every record above it

A checkpoint states the number of records, the root over them, the writer's signature over the C2SP checkpoint body,
and the first eight bytes of the leaf hash of each record since the checkpoint before. These marks are not what is
trusted (root and signature are): they let `verify` name the very record that was altered. Past the last line the file
is zero blocks until it is closed: whoever reads stops at the first NUL.
"""

import fcntl
import json
import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from remit.audit.altered import AlteredError
from remit.audit.entry import FORMAT, MAX_RECORD_BYTES
from remit.audit.keys import Certificate
from remit.audit.note import Head, SignedHead, unb64
from remit.errors import AuditError

SUFFIX: Final = ".log"
MARK_BYTES: Final = 8
MAX_BATCH: Final = 1024  # records between two checkpoints: bounds what a reader must hold before it can judge
MAX_LINE_BYTES: Final = max(MAX_RECORD_BYTES, MAX_BATCH * MARK_BYTES * 4 // 3 + 256)
BLOCK: Final = 1 << 20

_SHARD_NAME = re.compile(r"([A-Za-z0-9_-]+)\.(\d{8}T\d{6}\.\d{3}Z)\Z")
_CHECKPOINT = re.compile(
    rb"~(0|[1-9]\d{0,17}) ([A-Za-z0-9+/]{43}=) ([A-Za-z0-9+/]{86}==) ((?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/=]{4})\Z"
)


def shard_name(writer: str, started: float) -> str:
    """The name of the shard that `writer` starts at `started` (Unix seconds): `inference-0.20261121T031500.123Z`."""
    moment = datetime.fromtimestamp(round(started, 3), UTC)
    name = f"{writer}.{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"
    writer_of(name)
    return name


def writer_of(name: str) -> str:
    """The writer in a shard's name; raises AuditError when it is not one."""
    match = _SHARD_NAME.match(name)
    if match is None:
        raise AuditError(f"`{name}` is not a shard's name", hint="a writer's name has letters, digits, - and _ only")
    return match.group(1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint line. `marks` are the first bytes of the leaf hashes of the records it adds."""

    size: int
    root: bytes
    signature: bytes
    marks: bytes

    @property
    def first(self) -> int:
        """The index of the first record it adds."""
        return self.size - len(self.marks) // MARK_BYTES

    def signed_head(self, origin: str) -> SignedHead:
        return SignedHead(Head(origin, self.size, self.root), self.signature)

    def line(self) -> bytes:
        parts = (b64encode(self.root), b64encode(self.signature), b64encode(self.marks))
        return b"~%d %s %s %s\n" % (self.size, *parts)


def parse_checkpoint(line: bytes) -> Checkpoint | None:
    """The checkpoint in a line (without its newline), or None when it is none, in its one spelling."""
    match = _CHECKPOINT.match(line)
    if match is None:
        return None
    try:
        size, root, signature, marks = int(match[1]), *(unb64(part.decode()) for part in match.groups()[1:])
    except ValueError:
        return None
    if not marks or len(marks) % MARK_BYTES or size < len(marks) // MARK_BYTES:
        return None
    return Checkpoint(size, root, signature, marks)


def marks_of(leaves: Sequence[bytes]) -> bytes:
    return b"".join([leaf[:MARK_BYTES] for leaf in leaves])


@dataclass(frozen=True, slots=True)
class Previous:
    """The head that a writer's last shard ended with, as its next shard's header states it."""

    shard: str
    size: int
    root: str

    def to_dict(self) -> dict[str, Any]:
        return {"shard": self.shard, "size": self.size, "root": self.root}


@dataclass(frozen=True, slots=True)
class Opening:
    """What record 0 of a shard says. Nothing of it is trusted before the certificate was checked."""

    certificate: Certificate
    previous: Previous | None


def parse_opening(line: bytes, shard: str) -> Opening:
    """The opening in record 0 of `shard`; raises TamperedError when it is none, or is another shard's."""
    try:
        row = json.loads(line)
        certificate = Certificate.from_dict(row)
        before = row["previous"]
        previous = (
            None if before is None else Previous(str(before["shard"]), int(before["size"]), str(before["root"]))
        )
        known = row["kind"] == "header" and row["format"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise header_tampered(shard, "is not a shard's header") from error
    if not known:
        raise header_tampered(shard, "is not a header of a format that is known here")
    if certificate.shard != shard:
        raise header_tampered(shard, f"belongs to shard `{certificate.shard}`")
    return Opening(certificate, previous)


def header_tampered(shard: str, what: str) -> AlteredError:
    return AlteredError(shard, 0, 0, what)


def read_opening(path: Path) -> tuple[bytes, Opening]:
    """Record 0 of the shard in `path`, as stored and as read; raises TamperedError, or AuditError if unreadable."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES)
    if not line.endswith(b"\n"):
        raise header_tampered(path.stem, "is not a shard's header")
    return line[:-1], parse_opening(line[:-1], path.stem)


def shards_in(directory: Path) -> list[Path]:
    """The shards in `directory`, by name; raises AuditError when it can't be read."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise AuditError(
            f"the audit directory `{directory}` can't be read: {error.strerror}",
            hint="give the directory that holds the log with --dir",
        ) from error
    return [directory / name for name in names if not name.startswith(".") and name.endswith(SUFFIX)]


def is_live(fd: int) -> bool:
    """Whether a writer holds this shard: it locks it for as long as it lives."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def data_end(fd: int) -> int:
    """Where the lines end: the first NUL, or the end. From the front, as a torn write can leave a hole."""
    at = 0
    while block := os.pread(fd, BLOCK, at):
        hole = block.find(b"\0")
        if hole >= 0:
            return at + hole
        at += len(block)
    return at


def last_lines(fd: int, wanted: int) -> tuple[list[bytes], Checkpoint | None]:
    """At least `wanted` records (if there are as many) up to the last complete checkpoint, and that checkpoint.

    Checks no hash and no signature.
    """
    start, data = data_end(fd), b""
    while start > 0:
        block_start = max(0, start - BLOCK)
        data = os.pread(fd, start - block_start, block_start) + data
        start = block_start
        found = _covered(data, whole=start == 0)
        if found is not None and (start == 0 or len(found[0]) >= wanted):
            return found
    return [], None


def _covered(data: bytes, *, whole: bool) -> tuple[list[bytes], Checkpoint | None] | None:
    """The records in `data` that a complete checkpoint covers, and the last such checkpoint."""
    lines = data.split(b"\n")
    lines.pop()  # cut short, or empty after the last newline
    if not whole and lines:
        lines.pop(0)  # begins before this block
    while lines:
        line = lines.pop()
        if line.startswith(b"~") and (checkpoint := parse_checkpoint(line)) is not None:
            return [line for line in lines if not line.startswith(b"~")], checkpoint
    return None
