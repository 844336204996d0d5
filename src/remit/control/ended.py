"""Which tasks were ended, by the log's word: the state beside it may be older (a restored backup, a crash)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from remit.audit.read import records
from remit.audit.shard import shard_name, shards_in, writer_of

WRITER: Final = "control"
NEEDLE: Final = b'"task.ended"'


def ended_tasks(directory: Path, since: float) -> dict[str, float]:
    """When each task was ended, of those started after `since` (Unix seconds). Raises AuditError.

    Control's log alone is read. One shard ends before the next begins, so those before the last one that had begun
    by `since` hold nothing of interest.
    """
    shards = [path for path in shards_in(directory) if writer_of(path.stem) == WRITER]
    oldest = shard_name(WRITER, since)
    begun = sum(path.stem <= oldest for path in shards)
    return dict(pair for path in shards[max(0, begun - 1) :] for pair in _ended_in(path))


def _ended_in(path: Path) -> Iterator[tuple[str, float]]:
    for record, _, _ in records(path):
        row: dict[str, Any] = record.data if NEEDLE in record.stored else {}
        match row:
            case {"kind": "act", "what": "task.ended", "subject": str(task_id), "t": float(t)}:
                yield task_id, t
