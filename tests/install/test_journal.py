"""The journal of what was changed: on disk before a change, or the change is not made."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remit.install.journal import Journal
from remit.install.standing import NOTHING, Standing

FILE = Standing("file", 0o644, data=b"x" * 900)


@contextmanager
def room_of(size: int) -> Iterator[None]:
    """No file takes more bytes than that, as on a disk that is full: what still fits is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_the_disk_takes_half_of_is_an_error(tmp_path: Path) -> None:
    journal, one, other = Journal(tmp_path / "journal.jsonl"), tmp_path / "one", tmp_path / "other"
    journal.before(one, FILE)
    with room_of((tmp_path / "journal.jsonl").stat().st_size + 100), pytest.raises(OSError, match="too large"):
        journal.before(other, FILE)
    assert journal.of(other) is None
    again = Journal(tmp_path / "journal.jsonl")
    assert [change.path for change in again.changes()] == [one]
    again.before(other, FILE)
    assert [change.was for change in Journal(tmp_path / "journal.jsonl").changes()] == [NOTHING, NOTHING]
