"""Callers that wait to be seen alone with their sockets: one exhaustive walk at a time, for all that wait.

A walk reads every process's tables, so whose sockets it looks for hardly matters; two at once would only take both
threads from those who wait to be attested.
"""

import threading
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from remit.errors import AttestationError
from remit.identity.attestation import holders
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.holders import Holders
from remit.identity.attestation.shortage import told


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    caller: Attested
    answer: Future[Holders] = field(default_factory=Future)


class Walks:
    """Walks in the threads of `executor`, never in two of them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._walking = False

    def finish(self, caller: Attested) -> Future[Holders]:
        """As `caller.finish_walk()`, without blocking: it waits for the walk under way, if any, and its own."""
        waiting = _Waiting(caller)
        with self._lock:
            self._waiting.append(waiting)
            begins, self._walking = not self._walking, True
        if begins:
            self._executor.submit(self._walk)
        return waiting.answer

    def _walk(self) -> None:
        with self._lock:
            together, self._waiting = self._waiting, []
        wanted = [waiting for waiting in together if waiting.answer.set_running_or_notify_cancel()]
        try:
            with told():
                _walk_for(wanted)
        except Exception as error:  # noqa: BLE001 the outermost frame of a walk: who waits for it hears of it
            for waiting in wanted:
                _refuse(waiting, error)
        with self._lock:
            self._walking = again = bool(self._waiting)
        if again:
            self._executor.submit(self._walk)


def _walk_for(wanted: list[_Waiting]) -> None:
    """1. whose sockets are they now, 2. who holds them, 3. each caller's own judgement."""
    # 1
    sockets = {waiting: inode for waiting in wanted if (inode := _socket(waiting)) is not None}
    # 2
    walked = holders.walk(sockets.values()) if sockets else {}
    # 3
    for waiting in wanted:
        if not waiting.answer.done():
            _settle(waiting, sockets.get(waiting), walked)


def _socket(waiting: _Waiting) -> int | None:
    try:
        return waiting.caller.socket()
    except AttestationError as error:
        _refuse(waiting, error)
        return None


def _settle(waiting: _Waiting, inode: int | None, walked: dict[int, Holders]) -> None:
    try:
        waiting.answer.set_result(waiting.caller.settle(inode, walked))
    except AttestationError as error:
        _refuse(waiting, error)


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
