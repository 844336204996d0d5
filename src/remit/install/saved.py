"""A file that somebody changed after Remit wrote it: their version is moved beside, never lost."""

from pathlib import Path
from typing import Final

from remit.install.plan import Say

SAVED: Final = ".remit-saved"


def save_edit(path: Path, say: Say) -> None:
    """Move what stands at `path` to `path.remit-saved`, or the next such name that is free."""
    for number in range(1, 1000):
        beside = path.with_name(path.name + SAVED + (f".{number}" if number > 1 else ""))
        if not beside.exists():
            path.rename(beside)
            say(f"somebody changed {path} since: their version is now {beside}")
            return
