"""What control takes up of break-glass when it starts, and what it tells where nothing is sealed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remit.control.break_glass import UNSEALED, BreakGlass
from remit.errors import StateError
from remit.persons.break_glass import EMERGENCY, Moment, Opening
from remit.persons.openings_book import OpeningsBook
from remit.policy import Snapshot
from tests.persons.test_break_glass import OPENED

NOW = Moment(1010.0, 60.0, "b")


class FullBook(OpeningsBook):
    """On a disk that takes nothing any more."""

    def closed(self, opening: Opening, at: float, why: str) -> None:
        raise StateError(f"no room for {opening.id} at {at}: {why}")


def glass(book: OpeningsBook, told: list[dict[str, Any]] | None = None) -> BreakGlass:
    realm: Any = SimpleNamespace(acts=None, emergency=None, trust=SimpleNamespace(domain="example.org"))

    async def delivered(snapshot: Snapshot) -> bool:
        return snapshot is not None

    return BreakGlass(book, realm, delivered, (told if told is not None else []).append, lambda: NOW)


@pytest.mark.parametrize("kind", [OpeningsBook, FullBook])
def test_what_an_emergency_instance_left_open_is_over(tmp_path: Path, kind: type[OpeningsBook]) -> None:
    book = kind(tmp_path / "break-glass")
    book.opened(OPENED)
    book.opened(replace(OPENED, id="bg-2", through=EMERGENCY, opened=1005.0, steady=55.0))
    taking = glass(book)
    taking.take_up(())
    assert taking.is_open
    assert taking.standing()["open"]["id"] == OPENED.id


def test_what_the_log_has_as_closed_is_not_taken_up(tmp_path: Path) -> None:
    book = OpeningsBook(tmp_path / "break-glass")
    book.opened(OPENED)
    taking = glass(book)
    taking.take_up({OPENED.id})
    assert not taking.is_open


def test_a_whole_machines_code_is_told_to_no_journal(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    book = OpeningsBook(tmp_path / "break-glass")
    machines = glass(book, told)
    machines.shared = True
    machines.seal_first("ada", (1000,))
    assert told == [{"event": "note", "text": UNSEALED}]
    assert book.sealed() is None
    glass(book, told).seal_first("ada", (1000,))
    assert told[1]["event"] == "sealed"
    assert book.sealed() is not None
