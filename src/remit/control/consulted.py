"""What is in force, kept ready for people's questions, so that control's loop never waits for it to be built."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from remit.policy import Snapshot
from remit.policy.in_force import InForce

_Said = TypeVar("_Said")


class Consulted:
    """One question at a time. What did not change since the last one is taken over, as workers do."""

    def __init__(self) -> None:
        self._one_question = threading.Lock()
        self._last: InForce | None = None

    async def ask(self, snapshot: Snapshot, question: Callable[[InForce], _Said]) -> _Said:
        """The answer by this snapshot; built and asked in a thread."""
        return await asyncio.to_thread(self._ask, snapshot, question)

    def _ask(self, snapshot: Snapshot, question: Callable[[InForce], _Said]) -> _Said:
        with self._one_question:
            self._last = InForce(snapshot, self._last)
            return question(self._last)
