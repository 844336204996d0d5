"""Policies watched where they come from: what nobody wrote is not read again, what was refused is told once."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remit.control.policy_found import Found, Mark
from remit.control.policy_source import DirectorySource
from remit.control.policy_watch import AGAIN_SECONDS, Looking, first

ALL = '@id("all")\npermit (principal, action, resource is Workload);'
NOW = time.time() + 3600  # what the tests write is settled by then


@dataclass
class Counted:
    """A directory whose readings are counted."""

    inner: DirectorySource
    reads: int = 0
    marks: list[Mark] = field(default_factory=list)

    def mark(self, now: float) -> Mark:
        self.marks.append(self.inner.mark(now))
        return self.marks[-1]

    def read(self) -> Found:
        self.reads += 1
        return self.inner.read()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "own.cedar").write_text(ALL)
    return tmp_path


def test_what_nobody_wrote_is_not_read_again(home: Path) -> None:
    source = Counted(DirectorySource(home))
    looking = Looking(source, first(source))
    later = time.time() + 60
    assert [looking.look(later + step) for step in range(5)] == [None] * 5
    assert source.reads == 2


def test_what_was_written_just_now_is_read_again_until_the_clock_tells_two_writes_apart(home: Path) -> None:
    source = Counted(DirectorySource(home))
    looking = Looking(source, first(source))
    now = time.time()
    for _ in range(3):
        looking.look(now)
    assert (source.reads, source.marks) == (4, [None] * 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.cedar", ALL.replace("all", "alk")),
        ("more.cedar", ALL.replace("all", "b")),
        ("catalogue.toml", "[tool.x]"),
        ("profiles/mine.toml", 'actions = ["infer"]'),
    ],
)
def test_every_edit_is_seen(home: Path, name: str, text: str) -> None:
    (home / "profiles").mkdir(mode=0o700)
    source = DirectorySource(home)
    looking = Looking(source, first(source))
    later = time.time() + 60
    looking.look(later)
    (home / name).write_text(text)
    found = looking.look(time.time() + 120)
    assert found is not None
    assert text in [file.text for file in found.files]
    assert looking.look(later + 120) is None


def test_what_was_refused_is_told_once_and_read_again_later(home: Path) -> None:
    source = Counted(DirectorySource(home))
    looking = Looking(source, first(source))
    (home / "own.cedar").write_text("permit")
    told = looking.look(NOW)
    assert told is not None
    assert "own.cedar:1:" in told.warning
    assert [file.text for file in told.files] == [ALL]
    before = source.reads
    assert [looking.look(NOW + step) for step in range(1, 29)] == [None] * 28
    assert source.reads == before
    assert looking.look(NOW + AGAIN_SECONDS + 1) is None
    assert source.reads == before + 1
    (home / "own.cedar").write_text(ALL)
    mended = looking.look(NOW + 100)
    assert mended is not None
    assert not mended.warning


def test_a_directory_that_goes_away_is_told_and_comes_back(home: Path) -> None:
    source = DirectorySource(home)
    looking = Looking(source, first(source))
    os.rename(home, home.with_name("away"))
    told = looking.look(NOW)
    assert told is not None
    assert "can't be read" in told.warning
    os.rename(home.with_name("away"), home)
    back = looking.look(NOW + 1)
    assert back is not None
    assert not back.warning
