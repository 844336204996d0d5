"""Records of the log for those who can't read its files: a person's own, and all of them for who sees all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from remit.audit import read
from remit.audit.read import Record
from remit.control.realm import Realm
from remit.control.roles import Reach, Role
from remit.errors import AuditError, NotFoundError

LOOKED_AT: Final = 5_000  # of the newest, for those that are a person's
MAX_SHOWN: Final = 1_000


def newest(audit: Path, count: int, realm: Realm, reach: Reach) -> list[dict[str, Any]]:
    """The last `count` that `reach` sees, oldest first. Blocks: it reads the log."""
    count = min(count, MAX_SHOWN)
    looked_at = count if reach.role is not Role.PERSON else LOOKED_AT
    seen = _seen(read.tail(audit, looked_at), realm, reach)
    return [_row(record) for record in seen[-count:]] if count > 0 else []


def about(audit: Path, wanted: str, realm: Realm, reach: Reach) -> list[dict[str, Any]]:
    """All about `wanted` that `reach` sees: see `audit.read.find`. Raises NotFoundError, also for another's."""
    try:
        found = _seen(read.find(audit, wanted), realm, reach)
    except AuditError:
        found = []
    if not found:
        raise NotFoundError(f"no record of yours is about `{wanted}`", hint="`remit audit tail` lists the newest")
    return [_row(record) for record in found[:MAX_SHOWN]]


def _seen(records: Iterable[Record], realm: Realm, reach: Reach) -> list[Record]:
    """A person's are what they did and what was done in their name, with how it ended."""
    if reach.role is not Role.PERSON:
        return list(records)
    own = realm.humans.get(reach.name)
    theirs: set[str] = set()
    seen = []
    for record in records:
        row = record.data
        if own is not None and row.get("person") == own.person:
            theirs.add(str(row.get("id")))
        elif not (row.get("kind") == "end" and row.get("id") in theirs) and row.get("uid") not in reach.uids:
            continue
        seen.append(record)
    return seen


def _row(record: Record) -> dict[str, Any]:
    stored = record.stored.decode("utf-8", "replace")
    return {"shard": record.shard, "index": record.index, "covered_by": record.covered_by, "stored": stored}
