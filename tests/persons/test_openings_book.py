"""Openings on disk: kept through a crash, and what was removed shows."""

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from remit.errors import StateError
from remit.persons.break_glass import BreakGlassError, Review
from remit.persons.openings_book import CHAIN, MAX_FILE_BYTES, OpeningsBook
from remit.persons.recovery_code import WrongCodeError, fresh_code, seal
from tests.persons.test_break_glass import OPENED


@pytest.fixture
def book(tmp_path: Path) -> OpeningsBook:
    return OpeningsBook(tmp_path / "break-glass")


def test_what_was_written_is_read_again(book: OpeningsBook) -> None:
    book.opened(OPENED)
    book.closed(OPENED, 1200.0, "by ada")
    book.reviewed(OPENED, Review("bob", 1300.0, "looked at all of it", False))
    [found] = OpeningsBook(book.directory).openings().values()
    assert (found.reason, found.closed, found.why) == (OPENED.reason, 1200.0, "by ada")
    assert found.review == Review("bob", 1300.0, "looked at all of it", False)
    assert book.flaws() == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in book.directory.iterdir()} == {0o600}


def test_an_opening_that_was_removed_shows(book: OpeningsBook) -> None:
    for number in range(3):
        book.opened(replace(OPENED, id=f"bg-{number}"))
    (book.directory / "000002-opened.json").unlink()
    assert len(book.openings()) == 2
    assert any("000002-opened.json` is missing" in flaw for flaw in book.flaws())


def test_an_opening_that_was_altered_shows(book: OpeningsBook) -> None:
    book.opened(OPENED)
    path = book.directory / "000001-opened.json"
    path.write_text(path.read_text().replace("ada", "bob"))
    assert book.flaws() == ["`000001-opened.json` is not what was written"]


def test_a_removed_opening_and_its_line_show_by_what_follows(book: OpeningsBook) -> None:
    for number in range(3):
        book.opened(replace(OPENED, id=f"bg-{number}"))
    (book.directory / "000002-opened.json").unlink()
    chain = book.directory / CHAIN
    chain.write_text("".join(line for line in chain.read_text().splitlines(True) if "000002" not in line))
    assert book.flaws() == ["`000003-opened.json` does not follow what stood before it"]


def test_a_crash_between_a_file_and_its_line_is_mended(book: OpeningsBook) -> None:
    book.opened(OPENED)
    book.closed(OPENED, 1200.0, "by ada")
    chain = book.directory / CHAIN
    chain.write_text(chain.read_text().splitlines(True)[0])
    assert book.flaws() == []
    book.reviewed(OPENED, Review("bob", 1300.0, "looked at all of it", False))
    assert book.flaws() == []
    assert len(chain.read_text().splitlines()) == 3


def test_a_number_is_never_given_again(book: OpeningsBook) -> None:
    book.opened(OPENED)
    (book.directory / "000001-opened.json").unlink()
    book.closed(OPENED, 1200.0, "by ada")
    assert (book.directory / "000002-closed.json").exists()


def test_what_is_no_event_is_no_opening(book: OpeningsBook) -> None:
    book.directory.mkdir()
    (book.directory / "000001-opened.json").write_text('{"what": "opened", "id": "x", "opening": {"id": "x"}}')
    (book.directory / "000002-opened.json").write_bytes(b"\xff")
    assert book.openings() == {}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 30000,
        json.dumps({"what": "opened", "id": "bg-x", "opening": asdict(OPENED) | {"until": "later"}}),
        json.dumps({"what": "opened", "id": "bg-x", "opening": asdict(OPENED) | {"closed": "never"}}),
        json.dumps({"what": "opened", "id": "bg-x", "opening": asdict(OPENED)}) + " " * MAX_FILE_BYTES,
    ],
)
def test_what_nobody_here_could_have_written_is_left_out(book: OpeningsBook, text: str) -> None:
    book.opened(OPENED)
    (book.directory / "000002-opened.json").write_text(text)
    book.opened(replace(OPENED, id="bg-2"))
    assert list(book.openings()) == [OPENED.id, "bg-2"]


def test_a_review_that_nobody_here_could_have_written_is_none(book: OpeningsBook) -> None:
    book.opened(OPENED)
    row = {"what": "reviewed", "id": OPENED.id, "review": {"by": "bob"}}
    (book.directory / "000002-reviewed.json").write_text(json.dumps(row))
    assert book.openings()[OPENED.id].review is None


def test_what_a_link_leads_to_is_not_read(book: OpeningsBook, tmp_path: Path) -> None:
    book.opened(OPENED)
    elsewhere = (book.directory / "000001-opened.json").rename(tmp_path / "elsewhere")
    (book.directory / "000001-opened.json").symlink_to(elsewhere)
    assert book.openings() == {}
    assert book.flaws() == ["`000001-opened.json` is not what was written"]


def test_what_cannot_be_kept_is_not_open(tmp_path: Path) -> None:
    (tmp_path / "break-glass").write_text("a file")
    with pytest.raises(StateError, match="can't be written"):
        OpeningsBook(tmp_path / "break-glass").opened(OPENED)


def test_wrong_codes_are_counted_and_keep_the_right_one_waiting_for_nothing(book: OpeningsBook) -> None:
    code = seal(book.directory, 1.0)
    for number in range(1, 21):
        with pytest.raises(WrongCodeError, match="not the recovery code"):
            book.check_code(fresh_code(bytes([number] * 17)), 1000.0)
        assert OpeningsBook(book.directory).wrong_codes() == number
    book.check_code(code, 1000.0)
    assert book.wrong_codes() == 0


def test_nothing_sealed_opens_nothing(book: OpeningsBook) -> None:
    with pytest.raises(BreakGlassError, match="no recovery code was sealed"):
        book.check_code(fresh_code(bytes(17)), 1000.0)
