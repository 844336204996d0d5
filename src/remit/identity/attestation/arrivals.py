"""Connections that wait to be attested: a lane for each uid, and one pass for all that wait in a lane.

Whoever opens a thousand connections at once makes one pass longer, not the queue: the next caller's connection waits
for one pass of its own uid at most, whoever else is in line.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.recent import Memory
from remit.identity.attestation.shortage import told
from remit.identity.attestation.together import Address, CallersEnd, attest_together

MAX_SORTED: Final = 256  # connections looked up before any of them is answered, about 15 µs each


@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    local: Address
    remote: Address
    answer: Future[Attested] = field(default_factory=Future)


_Lane = dict[CallersEnd, _Arrival]


class Arrivals:
    """Attests connections in the threads of `executor`. A pass may take one of them for each uid, never two."""

    def __init__(self, executor: Executor, memory: Memory | None = None) -> None:
        self._executor = executor
        self._memory = memory or Memory()
        self._lock = threading.Lock()
        self._arrived: list[_Arrival] = []
        self._lanes: dict[int, _Lane] = {}  # a lane is here from its first arrival until a pass finds it empty

    def attest(self, local: Address, remote: Address) -> Future[Attested]:
        """As `attest_tcp`, without blocking. Cancel what is no longer wanted before its turn has come."""
        arrival = _Arrival(local, remote)
        with self._lock:
            self._arrived.append(arrival)
            first = len(self._arrived) == 1
        if first:
            self._executor.submit(self._sort)
        return arrival.answer

    def _sort(self) -> None:
        """Look up whose sockets they are; each uid's go to its lane."""
        with self._lock:
            arrived, self._arrived[:MAX_SORTED] = self._arrived[:MAX_SORTED], []
            more = bool(self._arrived)
        if more:
            self._executor.submit(self._sort)
        begun = {uid for arrival in arrived if (uid := self._find(arrival)) is not None}
        here = begun.pop() if begun else None
        for uid in begun:
            self._executor.submit(self._pass, uid)
        if here is not None:
            self._pass(here)

    def _find(self, arrival: _Arrival) -> int | None:
        """The uid whose lane begins with this arrival; None when it joins others, or there is nothing to wait for."""
        if not arrival.answer.set_running_or_notify_cancel():
            return None
        try:
            with told():
                end = CallersEnd.find(arrival.local, arrival.remote)
        except Exception as error:  # noqa: BLE001 the outermost frame of its lookup: who waits for it hears of it
            arrival.answer.set_exception(error)
            return None
        uid = end.facts.uid
        with self._lock:
            begins = uid not in self._lanes
            self._lanes.setdefault(uid, {})[end] = arrival
        return uid if begins else None

    def _pass(self, uid: int) -> None:
        """Answer all that wait in this lane now; those that come meanwhile wait for the next pass."""
        with self._lock:
            lane, self._lanes[uid] = self._lanes[uid], {}
        _answer(uid, lane, self._memory)
        with self._lock:
            again = bool(self._lanes[uid])
            if not again:
                del self._lanes[uid]
        if again:
            self._executor.submit(self._pass, uid)


def _answer(uid: int, lane: _Lane, memory: Memory) -> None:
    try:
        with told():
            _answer_each(uid, lane, memory)
    except Exception as error:  # noqa: BLE001 the outermost frame of a pass: who waits for it hears of it
        _fail(lane.values(), error)


def _answer_each(uid: int, lane: _Lane, memory: Memory) -> None:
    for end, answer in attest_together(uid, lane, memory):
        if isinstance(answer, AttestationError):
            lane[end].answer.set_exception(answer)
        else:
            lane[end].answer.set_result(answer)


def _fail(arrivals: Iterable[_Arrival], error: Exception) -> None:
    for arrival in arrivals:
        if not arrival.answer.done():
            arrival.answer.set_exception(error)
