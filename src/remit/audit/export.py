"""Taking the log elsewhere: all records as JSON lines, and the heads as C2SP signed notes to keep off this host."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from remit.audit.note import VerifierKey
from remit.audit.read import every
from remit.audit.shard import last_lines, read_opening, shards_in
from remit.errors import AuditError


def heads(directory: Path) -> Iterator[tuple[str, str, VerifierKey]]:
    """Of each shard: its name, its last checkpoint as a signed note, and the key that signed it."""
    for path in shards_in(directory):
        key = read_opening(path)[1].certificate.key
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            checkpoint = last_lines(fd, 0)[1]
        finally:
            os.close(fd)
        head = None if checkpoint is None else checkpoint.signed_head(key.name)
        if head is None or not key.signed(head.head.body(), head.signature):
            raise AuditError(f"shard {path.stem} has no head that its writer signed", hint="remit audit verify")
        yield path.stem, head.note(key), key


def checkpoint(directory: Path) -> str:
    """The heads of all shards in one text: what `verify --checkpoint` takes. Keep it where this host can't reach."""
    return "\n".join(note for _, note, _ in heads(directory))


def export(directory: Path) -> Iterator[str]:
    """JSON lines: each record with its place, then each shard's head. The stored bytes stay as they are."""
    ends = list(heads(directory))  # first: a head taken after the records could cover more than was given out
    for record in every(directory):
        yield record.line()
    for shard, note, key in ends:
        yield json.dumps({"shard": shard, "head": note, "key": str(key)})
