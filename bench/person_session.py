"""What an act costs in a session that a password began: whether it holds there still, as one of many."""

import statistics
import time
from typing import Final

from bench.report import Part, Row, Table
from remit.persons.sessions import MAX_OPEN, ProofSessions
from remit.persons.terminals import Device, Leader

TARGET_US: Final = 20.0
BATCH: Final = 1000


def run(quick: bool) -> Part:
    rounds = 20 if quick else 200
    lines = [(opened, *_check(opened, rounds)) for opened in (1, MAX_OPEN)]
    worst = max(held for _, held, _ in lines)
    row = Row(
        "person proof session check",
        f"≤ {TARGET_US:.0f} µs a call",
        f"{worst:.2f} µs",
        worst <= TARGET_US,
        f"where none is open {max(other for _, _, other in lines):.2f} µs",
    )
    shown = tuple((str(opened), f"{held:.2f}", f"{other:.2f}") for opened, held, other in lines)
    table = Table(("sessions open", "one that holds, µs", "one that is another's, µs"), shown)
    return Part("person", (row,), (table,), f"Medians of {rounds} batches of {BATCH:,} calls, each its own key.")


def _check(opened: int, rounds: int) -> tuple[float, float]:
    """µs for a session that is open, and for one that isn't."""
    sessions, now = ProofSessions(), 100.0
    for number in range(opened):
        sessions.begin(_leader(number), "ab" * 32, now)
    held = [_leader(number % opened) for number in range(BATCH)]
    other = [_leader(opened + number) for number in range(BATCH)]
    assert all(sessions.held(one, now + 1) for one in held)
    assert not any(sessions.held(one, now + 1) for one in other)
    return _median(sessions, held, now + 1, rounds), _median(sessions, other, now + 1, rounds)


def _median(sessions: ProofSessions, leaders: list[Leader], now: float, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        for leader in leaders:
            sessions.held(leader, now)
        taken.append((time.perf_counter() - start) / len(leaders) * 1e6)
    return statistics.median(taken)


def _leader(number: int) -> Leader:
    return Leader(1000 + number, Device(136, number), 5000 + number, 10_000 + number)
