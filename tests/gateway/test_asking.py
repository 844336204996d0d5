"""What a worker asks control: one answer to each number, withdrawn when nobody waits, refused without control."""

import asyncio

import pytest

from remit.errors import StateError
from remit.gateway.asking import Questions
from remit.policy.link import Answer, FromWorker, Raise, Withdrawn


def raised(number: int) -> Raise:
    return Raise(number, "t-1", "internal", False)


def test_each_gets_its_own_answer_whatever_the_order() -> None:
    async def two() -> list[dict[str, object]]:
        told: list[FromWorker] = []
        questions = Questions(told.append)
        asked = [asyncio.ensure_future(questions.ask(raised)) for _ in range(2)]
        await asyncio.sleep(0)
        questions.answered(Answer(2, {"of": 2}))
        questions.answered(Answer(1, {"of": 1}))
        questions.answered(Answer(1, {"of": "again"}))
        questions.answered(Answer(9, {"of": "nobody"}))
        answers = await asyncio.gather(*asked)
        assert told == [raised(1), raised(2)]
        return answers

    assert asyncio.run(two()) == [{"of": 1}, {"of": 2}]


def test_who_stops_waiting_withdraws() -> None:
    async def hung_up() -> list[FromWorker]:
        told: list[FromWorker] = []
        questions = Questions(told.append)
        asked = asyncio.ensure_future(questions.ask(raised))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        with pytest.raises(StateError, match="did not answer within"):
            await questions.ask(raised, 0.01)
        return told

    assert asyncio.run(hung_up()) == [raised(1), Withdrawn(1), raised(2), Withdrawn(2)]


def test_without_control_nothing_is_answered() -> None:
    async def alone() -> None:
        told: list[FromWorker] = []
        questions = Questions(told.append)
        asked = asyncio.ensure_future(questions.ask(raised))
        await asyncio.sleep(0)
        questions.control_gone()
        with pytest.raises(StateError, match="the control process is gone"):
            await asked
        with pytest.raises(StateError, match="the control process is gone"):
            await questions.ask(raised)
        assert told == [raised(1)]

    asyncio.run(alone())


def test_what_comes_too_late_is_given_back_by_who_asked() -> None:
    async def too_late() -> list[dict[str, object]]:
        questions = Questions(lambda _: None)
        given_back: list[dict[str, object]] = []
        with pytest.raises(StateError, match="did not answer within"):
            await questions.ask(raised, 0.01, given_back.append)
        for _ in range(2):
            questions.answered(Answer(1, {"amount": {"calls": 1}}))
        return given_back

    assert asyncio.run(too_late()) == [{"amount": {"calls": 1}}]
