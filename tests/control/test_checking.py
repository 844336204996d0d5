"""Control's side of checking a password: many at once on one line; answers that are late, never come, or are none."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from remit.control.checking import Checked, Checking
from remit.persons.checker_line import Answer, Outcome, Question

Play = Callable[["Line"], Awaitable[None]]


class Line:
    """Control's end, and the end that a checker would hold, which the test plays."""

    def __init__(self) -> None:
        ours, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.setblocking(False)
        self.now, self.records, self.ended = 100.0, [], 0  # type: ignore[var-annotated]
        self.checking = Checking(ours, clock=lambda: self.now)
        self.checking.mind(self._record, self._has_ended)

    async def _record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        assert person is None
        self.records.append((what, subject, facts))

    def _has_ended(self) -> None:
        self.ended += 1

    def check(self, uid: int, name: str) -> "asyncio.Task[Checked]":
        return asyncio.create_task(self.checking.check(uid, name, password()))

    async def asked(self) -> Question:
        """The next question; its descriptor is closed."""
        for _ in range(200):
            try:
                said, handed, _, _ = socket.recv_fds(self.far, 4096, 4)
            except BlockingIOError:
                await asyncio.sleep(0.005)
                continue
            assert len(handed) == 1
            os.close(handed[0])
            return Question.parse(said)
        raise AssertionError("nothing was asked")

    def answer(self, question: Question, outcome: Outcome, wait: float = 0.0) -> None:
        self.far.send(Answer(question.id, outcome, wait).to_bytes())


def password() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def play(body: Play) -> None:
    """Run `body`, after which nothing that it opened is open."""

    async def run() -> None:
        line = Line()
        before = open_now()
        try:
            async with asyncio.timeout(10):
                await body(line)
            await asyncio.sleep(0)
            assert open_now() <= before, "descriptors are left"
        finally:
            line.checking.close()
            line.far.close()

    asyncio.run(run())


def open_now() -> set[str]:
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


def test_each_of_two_gets_its_own_answer() -> None:
    async def body(line: Line) -> None:
        ada, bob = line.check(1001, "ada"), line.check(1002, "bob")
        first, second = await line.asked(), await line.asked()
        assert {first.name, second.name} == {"ada", "bob"}
        line.answer(second, Outcome.RIGHT)
        line.answer(first, Outcome.WRONG)
        assert ((await ada).ok, (await bob).ok) == (False, True)

    play(body)


def test_of_one_account_one_after_the_other() -> None:
    async def body(line: Line) -> None:
        tasks = [line.check(1001, "ada") for _ in range(3)]
        for _ in range(3):
            question = await line.asked()
            await asyncio.sleep(0.02)
            assert_silent(line)
            line.answer(question, Outcome.WRONG)
        assert not any([(await task).ok for task in tasks])

    play(body)


def assert_silent(line: Line) -> None:
    try:
        line.far.recv(4096)
    except BlockingIOError:
        return
    raise AssertionError("a second one of the same account was asked")


def test_what_is_cancelled_leaves_the_line_usable() -> None:
    async def body(line: Line) -> None:
        given_up, waiting = line.check(1001, "ada"), line.check(1001, "ada")
        first = await line.asked()
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        line.answer(first, Outcome.RIGHT)  # is nobody's any more: never the next one's
        second = await line.asked()
        line.answer(second, Outcome.WRONG)
        assert not (await waiting).ok

    play(body)


def test_an_answer_to_no_question_is_no_answer() -> None:
    async def body(line: Line) -> None:
        ada = line.check(1001, "ada")
        question = await line.asked()
        for said in (b"{}", b"[" * 900, b"\xff", b'{"id": 1, "outcome": "YES", "wait": 0.0}', b'{"ok": true}'):
            line.far.send(said)
        line.far.send(Answer(question.id + 1, Outcome.RIGHT).to_bytes())
        line.answer(question, Outcome.DENIED)
        assert await ada == Checked(ok=False, why=Outcome.DENIED.why)

    play(body)


def test_when_the_checker_ends_all_is_refused_and_it_is_told() -> None:
    async def body(line: Line) -> None:
        ada, bob = line.check(1001, "ada"), line.check(1001, "ada")
        await line.asked()
        line.far.close()
        assert not (await ada).ok
        assert not (await bob).ok
        assert line.ended == 1
        assert not line.checking.possible
        assert not (await line.checking.check(1002, "bob", password())).ok

    play(body)


def test_without_a_checker_nothing_is_right() -> None:
    async def body(_line: Line) -> None:
        absent = Checking()
        absent.mind(_line._record, _line._has_ended)
        assert not absent.possible
        answer = await absent.check(0, "root", password())
        assert not answer.ok
        assert "system mode" in answer.why
        absent.close()

    play(body)


def test_what_can_be_no_account_is_not_asked_about() -> None:
    async def body(line: Line) -> None:
        for uid, name in (
            (-1, "ada"),
            (1001, ""),
            (1001, "a" * 300),
            (1001, "a\nb"),
            (1 << 40, "ada"),
            (1, "\ud800"),
        ):
            answer = await line.checking.check(uid, name, password())
            assert answer == Checked(ok=False, why=Outcome.NO_ACCOUNT.why)
        assert_silent(line)

    play(body)


def test_waiting_is_said_and_on_record_once_a_guess() -> None:
    async def body(line: Line) -> None:
        ada = line.check(1001, "ada")
        line.answer(await line.asked(), Outcome.WRONG, 8.0)
        assert (await ada).why == "this is not the account's password; the next one is looked at in 8 s"
        assert line.checking.wait(1001) == 8.0
        again = line.check(1001, "ada")
        line.answer(await line.asked(), Outcome.WAIT, 7.5)
        assert not (await again).ok
        assert line.records == [("person.locked", "ada", {"uid": 1001, "seconds": 8.0})]
        line.now += 60.0
        assert line.checking.wait(1001) == 0.0

    play(body)
