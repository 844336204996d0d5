"""Recovery codes that are typed in: the right one is never kept waiting, the answer to a wrong one is."""

import asyncio
import contextlib
from typing import Final

from remit.control.book import Acts
from remit.control.visitor import Visitor
from remit.errors import AuditError
from remit.persons.break_glass import BreakGlassError, wait_after
from remit.persons.openings_book import OpeningsBook
from remit.persons.recovery_code import WrongCodeError
from remit.persons.sealing import DIRECTORY
from remit.secret import Secret

BY_CODE: Final = "recovery-code"


class Codes:
    """Looked at one after the other: each takes 32 MiB and 0.1 s. A wrong one is on record."""

    def __init__(self, book: OpeningsBook, acts: Acts) -> None:
        self._book, self._acts = book, acts
        self._one = asyncio.Lock()
        self._answering: set[tuple[int, int]] = set()

    async def check(self, who: Visitor, code: Secret, now: float) -> str:
        """How the person is proved by it. One process gets one answer at a time.

        Raises WrongCodeError late, UsageError, BreakGlassError, StateError.
        """
        process = who.process.pid, who.process.start
        if process in self._answering:
            raise BreakGlassError(f"process {process[0]} has typed a code already, and waits for its answer")
        self._answering.add(process)
        try:
            async with self._one:
                await asyncio.to_thread(self._book.check_code, code, now)
        except WrongCodeError:
            await self._hold_back(who)
            raise
        finally:
            self._answering.discard(process)
        return BY_CODE

    async def _hold_back(self, who: Visitor) -> None:
        wrong = self._book.wrong_codes()
        facts = {"pid": who.process.pid, "uid": who.process.uid, "wrong": wrong}
        with contextlib.suppress(AuditError):
            await self._acts("break-glass.refused", DIRECTORY, who.human.person, facts)
        await asyncio.sleep(wait_after(wrong))
