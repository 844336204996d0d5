"""What a worker asks control and waits for: one number a question, one answer to each."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final

from remit.errors import StateError
from remit.policy.link import Answer, Asking, FromWorker, Withdrawn

MOST_LATE: Final = 1_024  # questions that nobody waits for any more, and that may be answered yet
ANSWER_SECONDS: Final = 10.0  # control answers from memory and one write to its disk; people take longer: see `ask`

Late = Callable[[dict[str, Any]], None]


class Questions:
    """Those that wait. Of the worker's event loop alone; `tell` sends to control."""

    def __init__(self, tell: Callable[[FromWorker], None]) -> None:
        self.tell = tell
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._late: dict[int, Late] = {}
        self._gone = False

    async def ask(
        self, made: Callable[[int], Asking], seconds: float = ANSWER_SECONDS, late: Late | None = None
    ) -> dict[str, Any]:
        """The answer. Raises StateError when control is gone, or says nothing for so long.

        Who stops waiting withdraws the question; `late` takes an answer that was on its way by then.
        """
        if self._gone:
            raise _gone()
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        answered = False
        try:
            self.tell(made(number))
            async with asyncio.timeout(seconds):
                answer = await self._waiting[number]
                answered = True
                return answer
        except TimeoutError:
            if late is not None:
                self._late[number] = late
                if len(self._late) > MOST_LATE:  # the oldest was withdrawn in time, and is answered by nobody
                    del self._late[next(iter(self._late))]
            raise StateError(f"control did not answer within {seconds:g} s", hint="try again") from None
        finally:
            del self._waiting[number]
            if not answered and not self._gone:
                self.tell(Withdrawn(number))

    def answered(self, answer: Answer) -> None:
        """Control's answer came; one that nobody waits for any more goes to `late`, if anywhere."""
        waiting = self._waiting.get(answer.ask)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.what)
        elif (late := self._late.pop(answer.ask, None)) is not None:
            late(answer.what)

    def control_gone(self) -> None:
        """Nobody answers any more."""
        self._gone = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone())


def _gone() -> StateError:
    return StateError("the control process is gone", hint="ask whoever runs remit on this machine")
