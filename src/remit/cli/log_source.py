"""Where commands read the log: its files, or, where only the machine's Remit may, what that shows its caller."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remit.config import Places
from remit.errors import UsageError

if TYPE_CHECKING:
    from remit.audit.read import Follower, Record

FILES_SECONDS: Final = 0.2
ASKED_SECONDS: Final = 1.0
ASKED_AT_ONCE: Final = 1_000  # records: of more in a second, the oldest are not shown


@dataclass(frozen=True, slots=True)
class LogSource:
    """A log to read. `asked` is the control socket to ask instead of reading its files."""

    directory: Path
    asked: Path | None = None

    @classmethod
    def of(cls, where: Places, directory: Path | None = None) -> "LogSource":
        """The instance's own log, or the one in `directory`."""
        if directory is not None:
            return cls(directory)
        others = where.shared and not os.access(where.audit, os.R_OK | os.X_OK)
        return cls(where.audit, where.api_socket if others else None)

    def files(self, what: str) -> Path:
        """The directory, for what only files are good for; raises UsageError where they can't be read."""
        if self.asked is not None:
            raise UsageError(
                f"`{self.directory}` is Remit's own: {what} takes its files",
                hint="`sudo` it, or name a copy with --dir; `remit audit tail` and `remit explain` show your own",
            )
        return self.directory

    def newest(self, count: int) -> "list[Record]":
        """The last `count` records, oldest first."""
        from remit.audit import read

        if self.asked is not None:
            return _ask(self.asked, count=str(count))
        return read.tail(self.directory, count)

    def about(self, wanted: str) -> "list[Record]":
        """All records about a decision, a subject or `SHARD#INDEX`."""
        from remit.audit import read

        if self.asked is not None:
            return _ask(self.asked, about=wanted)
        return read.find(self.directory, wanted)

    def from_now_on(self) -> "Iterator[Record]":
        """What is written after this call; never ends."""
        from remit.audit import read

        if self.asked is None:
            return _follow(read.Follower(self.directory))
        return _follow_asking(self.asked, {record.ref for record in _ask(self.asked, count=str(ASKED_AT_ONCE))})


def _follow(follower: "Follower") -> "Iterator[Record]":
    while True:
        yield from follower.fresh()
        time.sleep(FILES_SECONDS)


def _follow_asking(api: Path, shown: set[str]) -> "Iterator[Record]":
    while True:
        time.sleep(ASKED_SECONDS)
        fresh = _ask(api, count=str(ASKED_AT_ONCE))
        yield from (record for record in fresh if record.ref not in shown)
        shown = {record.ref for record in fresh}


def _ask(api: Path, **query: str) -> "list[Record]":
    from remit.audit.read import Record
    from remit.cli.client import ask

    rows: list[dict[str, Any]] = ask(api, "GET", "records", query=query)
    return [Record(row["shard"], row["index"], row["stored"].encode(), row["covered_by"]) for row in rows]
