"""What a book of openings shows: what is open, what is due, and what no instance holds any more."""

from dataclasses import replace
from pathlib import Path

import pytest

from remit.persons.break_glass import EMERGENCY, Moment, Review
from remit.persons.openings import ENDED, listed, standing
from remit.persons.openings_book import ROOM, OpeningsBook
from remit.persons.recovery_code import SEALED_FILE, seal
from tests.persons.test_break_glass import OPENED

DURING, AFTER = Moment(1010.0, 60.0, "b"), Moment(1700.0, 750.0, "b")


@pytest.fixture
def book(tmp_path: Path) -> OpeningsBook:
    book = OpeningsBook(tmp_path / "break-glass")
    book.opened(OPENED)
    return book


def test_what_is_over_is_due_until_it_is_reviewed(book: OpeningsBook) -> None:
    assert standing(book, DURING, OPENED.id)["open"]["id"] == OPENED.id
    assert standing(book, DURING, OPENED.id)["due"] == []
    assert [one["id"] for one in standing(book, AFTER)["due"]] == [OPENED.id]
    book.reviewed(OPENED, Review("bob", 1650.0, "looked at all of it", False))
    assert standing(book, AFTER)["due"] == []


def test_where_nothing_runs_nothing_is_open(book: OpeningsBook) -> None:
    [row] = listed(book, DURING, lambda _: True, runs=False)["openings"]
    assert (row["standing"], row["why"], row["left"]) == ("review due", ENDED, 0.0)
    assert [one["id"] for one in standing(book, DURING, runs=False)["due"]] == [OPENED.id]


def test_each_sees_only_what_is_theirs(book: OpeningsBook) -> None:
    assert listed(book, AFTER, lambda person: person == "bob")["openings"] == []


def test_whether_a_code_is_sealed_is_known_or_unknown(book: OpeningsBook) -> None:
    assert standing(book, AFTER)["sealed"] is False
    seal(book.directory, 1.0)
    assert standing(book, AFTER)["sealed"] is True
    (book.directory / SEALED_FILE).write_text("nothing of the kind")
    assert standing(book, AFTER)["sealed"] is None


def test_an_emergency_instances_opening_is_told_from_controls() -> None:
    assert not OPENED.in_emergency
    assert replace(OPENED, through=f"{EMERGENCY} (its log: /var/tmp/x)").in_emergency


def test_room_is_kept_once_and_for_nobody_else(book: OpeningsBook) -> None:
    book.keep_room()
    room = book.directory / ROOM
    assert room.stat().st_mode & 0o077 == 0
    before = room.read_bytes()
    book.keep_room()
    assert room.read_bytes() == before
