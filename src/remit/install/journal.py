"""What an installation changed on this machine: written down, and on disk, before each change.

One JSON object a line. The first line about a path says what stood there before Remit; the last what Remit put there.
A line that was cut short by a crash is of a change that was not made.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.install.places import JOURNAL
from remit.install.standing import Standing, look, put, sync

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One path: what stood there, and what was put there (None: what another program wrote, and it was cut short)."""

    path: Path
    was: Standing
    put: Standing | None
    tree: bool = False  # a whole directory of Remit's own, made and removed as one
    account: bool = False  # written by useradd(8)


class Journal:
    """The changes so far, oldest first."""

    def __init__(self, file: Path = JOURNAL) -> None:
        self._file = file
        self._changes: dict[Path, Change] = {}
        if file.exists():
            self._read()

    def changes(self) -> tuple[Change, ...]:
        return tuple(self._changes.values())

    def of(self, path: Path) -> Change | None:
        return self._changes.get(path)

    def before(self, path: Path, will: Standing | None, *, tree: bool = False, was: Standing | None = None) -> None:
        """`path` is about to be changed to `will`. `was`: what counts as having stood there, if not what does."""
        self.note([self._change(path, will, tree=tree, was=was)])

    def before_account(self, paths: Iterable[Path]) -> None:
        """useradd(8) is about to write these."""
        self.note([self._change(path, None, account=True) for path in paths])

    def after_account(self, paths: Iterable[Path]) -> None:
        """It has; this is what it wrote."""
        self.note([self._change(path, look(path), account=True) for path in paths])

    def note(self, changes: Iterable[Change]) -> None:
        """Append, durably when it returns. Raises OSError when the disk does not take all of it."""
        noted = tuple(changes)
        left = b"".join(map(_line, noted))
        self._make()
        fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        sync(self._file.parent)
        self._changes |= {change.path: change for change in noted}

    def remove(self) -> None:
        """Everything was put back."""
        self._file.unlink(missing_ok=True)
        if self._file.parent.is_dir():
            self._file.parent.rmdir()
            sync(self._file.parent.parent)

    def _change(
        self,
        path: Path,
        will: Standing | None,
        *,
        tree: bool = False,
        account: bool = False,
        was: Standing | None = None,
    ) -> Change:
        known = self._changes.get(path)
        return Change(path, known.was if known else (was or look(path)), will, tree, account)

    def _make(self) -> None:
        if not self._file.parent.is_dir():
            put(self._file.parent, Standing("directory", 0o700))
        elif self._file.exists() and not self._file.read_bytes().endswith(b"\n"):
            os.truncate(self._file, self._file.read_bytes().rfind(b"\n") + 1)

    def _read(self) -> None:
        lines = self._file.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was cut short
            try:
                change = _parse(line)
            except (ValueError, KeyError, TypeError) as error:
                raise StateError(
                    f"`{self._file}`:{number} can't be read ({type(error).__name__})",
                    hint="put the file back from a backup: what was changed on this machine stands only there",
                ) from error
            self._changes[change.path] = change


def _line(change: Change) -> bytes:
    record = {
        "v": VERSION,
        "path": str(change.path),
        "was": change.was.to_dict(),
        "put": change.put.to_dict() if change.put else None,
        "tree": change.tree,
        "account": change.account,
    }
    return json.dumps(record).encode() + b"\n"


def _parse(line: bytes) -> Change:
    record = json.loads(line)
    if record["v"] != VERSION:
        raise ValueError(record["v"])
    made = Standing.from_dict(record["put"]) if record["put"] else None
    return Change(Path(record["path"]), Standing.from_dict(record["was"]), made, record["tree"], record["account"])
