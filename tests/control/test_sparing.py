"""A flood of refusals leaves a few lines in the log, and the number of the others; nobody's hides another's."""

import asyncio
from typing import Any

from remit.control.sparing import Sparing
from remit.persons.refusals import BURST, EACH_SECONDS, MAX_KNOWN, Refusals


class Log:
    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[tuple[str, str, str | None, dict[str, Any]]] = []
        self.sparing = Sparing(self._record, lambda: self.now)

    async def _record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        self.lines.append((what, subject, person, facts))

    def refuse(self, uid: int, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.sparing("person.refused", "stop", "person-1", {"uid": uid, "why": "wrong"}))

    @property
    def accounted(self) -> int:
        return sum(facts.get("unrecorded", 0) + ("uid" in facts) for *_, facts in self.lines)


def test_a_flood_is_a_few_lines_and_a_number() -> None:
    log = Log()
    log.refuse(1001, 500)
    assert len(log.lines) == BURST
    log.now += EACH_SECONDS
    log.refuse(1001)
    assert log.lines[-1][3] == {"uid": 1001, "why": "wrong", "unrecorded": 490}
    log.refuse(1001, 7)
    asyncio.run(log.sparing.flush())
    assert log.lines[-1][3]["unrecorded"] == 7
    assert log.accounted == 508
    asyncio.run(log.sparing.flush())
    assert log.accounted == 508, "each is counted once"


def test_nobodys_flood_hides_another_ones_refusal() -> None:
    log = Log()
    log.refuse(1001, 500)
    log.refuse(1002)
    assert log.lines[-1][3]["uid"] == 1002


def test_what_is_no_refusal_is_always_written() -> None:
    log = Log()
    for _ in range(100):
        asyncio.run(log.sparing("person.proved", "stop", "person-1", {"uid": 1001}))
    assert len(log.lines) == 100


def test_at_its_end_the_number_is_written() -> None:
    log = Log()

    async def run() -> None:
        minding = asyncio.create_task(log.sparing.mind())
        for _ in range(30):
            await log.sparing("person.refused", "stop", None, {"uid": 1001})
        await asyncio.sleep(0)
        minding.cancel()
        await asyncio.gather(minding, return_exceptions=True)

    asyncio.run(run())
    assert log.accounted == 30


def test_its_memory_is_bounded() -> None:
    refusals = Refusals()
    for uid in range(MAX_KNOWN + 100):
        refusals.due(str(uid), 0.0)
    assert len(refusals._seen) <= MAX_KNOWN + 1
    assert [refusals.due(str(MAX_KNOWN + 200), 0.0) for _ in range(3)] == [None] * 3, "the others share one place"
    assert refusals.due("1", 0.0) == 0, "who is known does not"
    assert refusals.due("late", BURST * EACH_SECONDS + 1.0) == 0
