"""Asks the checker, over the line that root's launcher left open, whether a password is an account's.

The password never passes through here: whoever asked for it writes it into the other end of a descriptor that goes on
to the checker (`persons/checker.py`), which also makes wrong ones wait (`persons/lockout.py`).
"""

import asyncio
import itertools
import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from remit.persons.checker_line import MAX_MESSAGE, Answer, Outcome, Question

AT_ONCE: Final = 4  # as many as the checker takes
ANSWER_SECONDS: Final = 30.0  # more than the checker gives one check
_NOBODY: Final = "nobody checks passwords here: that takes system mode"
_ENDED: Final = "the checker of passwords has ended"


class Record(Protocol):
    """Writes down an act of a person, durably."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """`why` is for the person, empty when `ok`. `wait` is how many seconds the next one is not looked at."""

    ok: bool
    why: str
    wait: float = 0.0


class Checking:
    """One line to the checker, or none: then nothing is right. In one event loop."""

    def __init__(self, line: socket.socket | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes `line` over."""
        self._line, self._clock = line, clock
        self._tell_ended: Callable[[], None] = lambda: None
        self._record: Record | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._until: dict[int, float] = {}
        self._under_way: set[asyncio.Task[Checked]] = set()
        if line is not None:
            line.setblocking(False)

    def mind(self, record: Record, ended: Callable[[], None]) -> None:
        """From now on hear the checker: without this nothing is right. `ended` is called when it ends by itself."""
        self._record, self._tell_ended = record, ended
        if self._line is not None:
            asyncio.get_running_loop().add_reader(self._line.fileno(), self._readable)

    @property
    def possible(self) -> bool:
        """Whether there is a checker to ask."""
        return self._line is not None

    def wait(self, uid: int) -> float:
        """Seconds until this account's next password is looked at, as far as is known here: ask for none before."""
        return max(0.0, self._until.get(uid, 0.0) - self._clock())

    async def check(self, uid: int, name: str, password_from: int) -> Checked:
        """Whether what can be read from `password_from` until its end is the password of account `name`, of `uid`.

        Takes the descriptor over, a socket or a pipe; call it once the person has typed: its other end must be
        written and closed within 10 s (`persons/checker.py`). Raises AuditError alone.
        One that is cancelled goes on in the checker to its end.
        """
        task = asyncio.get_running_loop().create_task(self._in_turn(uid, name, password_from))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def close(self) -> None:
        """Ask nothing any more; the checker ends by this."""
        if self._line is None:
            return
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        self._line.close()
        self._line = None
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError())

    async def _in_turn(self, uid: int, name: str, password_from: int) -> Checked:
        """One at a time of each account, so that it waits before a guess and not after it."""
        turn = self._turns.setdefault(uid, asyncio.Lock())
        try:
            async with turn, self._slots:
                if self._line is None:
                    return Checked(ok=False, why=_NOBODY)
                question = Question(next(self._numbers), uid, name)
                answer = await self._answer(self._line, question, password_from)
        except ValueError:  # what is no account's name
            answer = Answer(0, Outcome.NO_ACCOUNT)
        finally:
            os.close(password_from)
        return await self._told(uid, name, answer) if answer is not None else Checked(ok=False, why=_ENDED)

    async def _answer(self, line: socket.socket, question: Question, password_from: int) -> Answer | None:
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[question.id] = waiting
        try:
            socket.send_fds(line, [question.to_bytes()], [password_from])
            async with asyncio.timeout(ANSWER_SECONDS):
                return await waiting
        except (OSError, TimeoutError):
            return None
        finally:
            del self._asked[question.id]

    async def _told(self, uid: int, name: str, answer: Answer) -> Checked:
        """That an account has to wait from now on is on record. There is less of it the longer it waits."""
        now, why = self._clock(), answer.outcome.why
        self._until = {one: until for one, until in self._until.items() if until > now}
        if answer.wait > 0:
            self._until[uid] = now + answer.wait
            why += f"; the next one is looked at in {math.ceil(answer.wait)} s"
            if answer.outcome.guessed and self._record is not None:
                await self._record("person.locked", name, None, {"uid": uid, "seconds": answer.wait})
        return Checked(answer.outcome is Outcome.RIGHT, why, answer.wait)

    def _readable(self) -> None:
        try:
            said = self._line.recv(MAX_MESSAGE) if self._line is not None else b""
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self.close()
            self._tell_ended()
            return
        with suppress(ValueError):
            answer = Answer.parse(said)
            if (waiting := self._asked.get(answer.id)) is not None and not waiting.done():
                waiting.set_result(answer)
