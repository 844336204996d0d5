"""Records on their way to disk, and who waits for their receipts: in event loops or threads."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future as ThreadFuture

from remit.audit.receipt import Receipt
from remit.errors import AuditError


class Pending:
    """One record on its way to disk. `waiter` is the future that its receipt goes to, if anyone waits."""

    __slots__ = ("loop", "of", "stored", "waiter")

    def __init__(
        self,
        stored: bytes,
        of: bytes,
        waiter: "asyncio.Future[Receipt] | ThreadFuture[Receipt] | None" = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.stored, self.of, self.waiter, self.loop = stored, of, waiter, loop


class Turn:
    """What one turn of an event loop wants written. `soon`: its end is scheduled, as somebody waits."""

    __slots__ = ("records", "soon")

    def __init__(self) -> None:
        self.records: list[Pending] = []
        self.soon = False


Answer = tuple[Pending, Receipt | AuditError]


def answer_all(answers: Iterable[Answer]) -> None:
    """Hand out the receipts: one wake-up a loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for pending, answer in answers:
        if pending.loop is not None:
            by_loop.setdefault(pending.loop, []).append((pending, answer))
        else:
            _resolve(pending, answer)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve_all, theirs)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _resolve_all(answers: list[Answer]) -> None:
    for pending, answer in answers:
        _resolve(pending, answer)


def _resolve(pending: Pending, answer: Receipt | AuditError) -> None:
    waiter = pending.waiter
    if waiter is None or waiter.done():  # done: the task that waited was cancelled
        return
    if isinstance(answer, Receipt):
        waiter.set_result(answer)
    else:
        waiter.set_exception(answer)
