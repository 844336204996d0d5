"""What flowed through the tasks that enforcement points tell of, in this worker's memory and bounded together.

What is forgotten makes values `unseen`, never better; that more was done than is known is kept as `everything`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from remit.flow import Flow, Mark, Transcript
from remit.flow.flow import EVERYTHING
from remit.tasks import Task

MAX_BYTES: Final = 256 * 1024 * 1024  # of all transcripts; one task's are at most 9 MB
MAX_FLOWS: Final = 4_096  # tasks of which anything is kept


class Flows:
    """Of the worker's event loop alone. `since` is when this worker began to hear (Unix seconds)."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._flows: OrderedDict[str, Flow] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._held = 0
        self._lost: set[str] = set()  # live tasks that were dropped for want of room

    def __len__(self) -> int:
        return len(self._flows)

    @property
    def held(self) -> int:
        """Bytes of all transcripts."""
        return self._held

    def of(self, task: Task) -> Flow:
        """The task's, with the mark that control keeps of it at least."""
        flow = self._flows.get(task.id)
        if flow is None:
            flow = self._flows[task.id] = Flow()
            if task.started < self._since or task.id in self._lost:
                flow.did(EVERYTHING)  # an earlier worker may have allowed anything, and so may this one
        self._flows.move_to_end(task.id)
        flow.mark = flow.mark.raised(Mark(task.high, task.untrusted))
        return flow

    def grown(self, task: str) -> None:
        """Something was heard: the transcripts of tasks that were longest of no use make room."""
        if (flow := self._flows.get(task)) is None:
            return
        self._size(task, flow.transcript.size)
        for other in list(self._flows):
            if self._held <= MAX_BYTES or other == task:
                break
            self._flows[other].transcript = Transcript()
            self._size(other, 0)
        while len(self._flows) > MAX_FLOWS:
            self._lost.add(dropped := next(iter(self._flows)))
            self._drop(dropped)

    def keep_only(self, live: Iterable[str]) -> None:
        """Forget the tasks that have ended."""
        still = set(live)
        self._lost &= still
        for task in self._flows.keys() - still:
            self._drop(task)

    def _drop(self, task: str) -> None:
        self._size(task, 0)
        del self._flows[task]
        self._sizes.pop(task, None)

    def _size(self, task: str, now: int) -> None:
        self._held += now - self._sizes.get(task, 0)
        self._sizes[task] = now
