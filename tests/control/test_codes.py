"""Recovery codes that are typed in: the answer to a wrong one waits, the right one never does."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remit.control.codes import BY_CODE, Codes
from remit.control.emergency_opening import BookBeside
from remit.persons.break_glass import BreakGlassError
from remit.persons.openings_book import OpeningsBook
from remit.persons.recovery_code import WrongCodeError, fresh_code, seal
from remit.secret import Secret
from tests.persons.test_break_glass import OPENED


class Log:
    """Acts as they were recorded."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        assert (subject, person) == ("break-glass", "p-1")
        self.acts.append((what, facts))


def process(pid: int) -> Any:
    return SimpleNamespace(process=SimpleNamespace(pid=pid, start=1, uid=1000), human=SimpleNamespace(person="p-1"))


def test_wrong_ones_wait_for_their_answer_while_the_right_one_is_taken(tmp_path: Path) -> None:
    book, log = OpeningsBook(tmp_path / "break-glass"), Log()
    right = seal(book.directory, 1.0)

    async def scene() -> None:
        codes = Codes(book, log)
        wrong = [
            asyncio.create_task(codes.check(process(pid), fresh_code(bytes([pid] * 17)), 1.0)) for pid in range(1, 9)
        ]
        while book.wrong_codes() < 8:
            await asyncio.sleep(0.01)
        with pytest.raises(BreakGlassError, match="has typed a code already"):
            await codes.check(process(8), Secret(right.reveal()), 1.0)
        assert not wrong[-1].done()
        assert await codes.check(process(99), Secret(right.reveal()), 1.0) == BY_CODE
        assert not wrong[-1].done(), "it did not wait for that answer"
        with pytest.raises(WrongCodeError):
            await wrong[0]
        for one in wrong:
            one.cancel()
        await asyncio.gather(*wrong, return_exceptions=True)

    asyncio.run(scene())
    assert [what for what, _ in log.acts] == ["break-glass.refused"] * 8
    assert sorted(facts["pid"] for _, facts in log.acts) == list(range(1, 9))


def test_what_another_log_was_told_the_instances_own_is_told_later(tmp_path: Path) -> None:
    beside = BookBeside(tmp_path / "break-glass")
    beside.opened(OPENED)
    [(name, _)] = beside.unrecorded()
    beside.recorded(name)
    assert beside.unrecorded() == []
    assert [again for again, _ in OpeningsBook(beside.directory).unrecorded()] == [name]
