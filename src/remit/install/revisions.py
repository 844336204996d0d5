"""Whether this version can read the state that is there: asked before an upgrade or downgrade touches anything."""

import re
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

import remit
from remit.errors import StateError

VERSIONS: Final = Path(remit.__file__).parent / "storage" / "migrations" / "versions"


def refuse_newer_state(database: Path) -> None:
    """Raises StateError when a newer version wrote `database`; a missing one is fine."""
    revision = _revision(database)
    if revision is not None and revision not in _known():
        raise StateError(
            f"`{database}` was written by a newer version of Remit (revision `{revision}`)",
            hint=f"install that version or a newer one; this is {remit.__version__}, and nothing was changed",
        )


def _revision(database: Path) -> str | None:
    if not database.exists():
        return None
    try:
        # Not `mode=ro`: that leaves the files of the WAL behind.
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True)
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StateError(f"`{database}` can't be read: {error}", hint="restore it from a backup") from error
    return str(row[0]) if row else None


def _known() -> set[str]:
    """The revisions that this version can lead on from, by their files' names (alembic takes 100 ms to import)."""
    found = (re.match(r"(\d{4})_", path.name) for path in VERSIONS.glob("*.py"))
    return {match[1] for match in found if match}
