"""What was ended, marked, withheld or given away, by the log: the state may be older (a restored backup, a crash)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from remit.audit.read import records
from remit.audit.shard import shard_name, shards_in, writer_of
from remit.flow import Mark
from remit.inventory import LifeState
from remit.inventory.lifecycle import PARTICIPLES, WITHHELD, Verb
from remit.tasks.narrowing import ceiling_of

WRITER: Final = "control"
ENDED: Final = b'.ended"'
CLOSED: Final = b'"what":"break-glass.closed"'
OPENED: Final = b'"what":"break-glass.opened"'
MARKED: Final = b'"what":"task.marked"'
MOVED: Final = b'"what":"workload.'
OWNINGS: Final = frozenset(f"workload.{PARTICIPLES[verb]}" for verb in (Verb.OWN, Verb.TRANSFER))
MOVES: Final = frozenset(f"workload.{participle}" for participle in PARTICIPLES.values())


def ended_tasks(directory: Path, since: float) -> dict[str, float]:
    """When each task or session was ended, of those begun after `since` (Unix seconds). Raises AuditError."""
    ended = {}
    for row in _acts(directory, since, ENDED):
        match row:
            case {"kind": "act", "what": "task.ended" | "session.ended", "subject": str(ended_id), "t": float(t)}:
                ended[ended_id] = t
    return ended


def marked_tasks(directory: Path, since: float) -> dict[str, Mark]:
    """How high each family's mark rose, by its first task, of those begun after `since` (Unix seconds).

    Raises AuditError.
    """
    found: dict[str, Mark] = {}
    for row in _acts(directory, since, MARKED):
        match row:
            case {
                "what": "task.marked",
                "subject": str(task),
                "facts": {"high": str(high), "untrusted": bool(untrusted)},
            }:
                found[task] = found.get(task, Mark()).raised(Mark(ceiling_of(high), untrusted))
    return found


def withheld_workloads(directory: Path, since: float) -> dict[str, tuple[LifeState, float]]:
    """Which workloads were suspended or retired last, and when, of those moved after `since` (Unix seconds).

    Raises AuditError. What gives back is not told: after a crash between record and state a workload is withheld.
    """
    last = {}
    for row in _acts(directory, since, MOVED):
        match row:
            case {"kind": "act", "what": str(what), "subject": str(spiffe_id), "t": float(t), "facts": {"to": to}}:
                if what in MOVES:
                    last[spiffe_id] = LifeState(to), t
    return {spiffe_id: move for spiffe_id, move in last.items() if move[0] in WITHHELD}


def owners(directory: Path, since: float) -> dict[str, tuple[str, float]]:
    """Whose each workload became last, and when, of those owned or transferred after `since`: people's pseudonyms.

    Raises AuditError.
    """
    last = {}
    for row in _acts(directory, since, MOVED):
        match row:
            case {
                "kind": "act",
                "what": str(what),
                "subject": str(spiffe_id),
                "person": person,
                "t": float(t),
                "facts": dict(facts),
            }:
                owner = facts.get("owner", person)
                if what in OWNINGS and isinstance(owner, str):
                    last[spiffe_id] = owner, t
    return last


def closed_openings(directory: Path, since: float) -> set[str]:
    """Which openings of break-glass were closed, of those begun after `since` (Unix seconds). Raises AuditError."""
    rows = _acts(directory, since, CLOSED)
    return {str(row["subject"]) for row in rows if row.get("what") == "break-glass.closed"}


def opened_openings(directory: Path, since: float) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each opening of break-glass since `since` (Unix seconds): by id, a person's pseudonym and what is told of it.

    Raises AuditError.
    """
    found = {}
    for row in _acts(directory, since, OPENED):
        match row:
            case {"what": "break-glass.opened", "subject": str(opening), "person": person, "facts": dict(facts)}:
                found[opening] = str(person or ""), facts
    return found


def _acts(directory: Path, since: float, needle: bytes) -> Iterator[dict[str, Any]]:
    """The acts with `needle` in them. Control's log alone is read.

    One shard ends before the next begins, so those before the last one that had begun by `since` hold nothing of
    interest.
    """
    shards = [path for path in shards_in(directory) if writer_of(path.stem) == WRITER]
    oldest = shard_name(WRITER, since)
    begun = sum(path.stem <= oldest for path in shards)
    for path in shards[max(0, begun - 1) :]:
        for record, _, _ in records(path):
            if needle in record.stored:
                row: dict[str, Any] = record.data
                yield row
