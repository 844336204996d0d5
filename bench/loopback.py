"""What it takes to know a loopback caller among many processes and sockets, and what the event loop notices of it."""

import asyncio
import gc
import os
import socket
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import uvloop

from bench.attestation import client_of, sleeping
from bench.crowd import open_sockets
from bench.load import percentile
from bench.loop_watch import LoopWatch, watch
from bench.peers import SCRATCH, alone
from bench.report import Part, Row, Table
from bench.starter import starter
from remit.identity.attestation import Arrivals, Memory, Walks

PROCESSES, SOCKETS = (300, 2_000), 10_000
INLINE_MS, BLOCKED_MS = 3.0, 1.0
KNOWN, NEWEST, OLDEST, WALK, IDLE = (
    "inline, it called before",
    "inline, a process just started",
    "inline, the oldest process of all, its first call",
    "full walk, every process's open files",
    "nothing",
)
THREADS = 2  # as a gateway has


@dataclass
class Measured:
    """Milliseconds of each, and the longest that the loop let others wait meanwhile: in all, and not for a core."""

    processes: int
    took: dict[str, list[float]] = field(default_factory=dict)
    longest: dict[str, tuple[float, float]] = field(default_factory=dict)


def run(quick: bool) -> Part:
    SCRATCH.mkdir(exist_ok=True)
    with alone():
        measured = [_among(processes, 40 if quick else 200) for processes in PROCESSES]
    inline = [max(statistics.median(one.took[what]) for what in (KNOWN, NEWEST)) for one in measured]
    walks = [statistics.median(one.took[WALK]) for one in measured]
    blocked = max(one.longest[what][1] for one in measured for what in (KNOWN, NEWEST, OLDEST, WALK))
    idle = max(one.longest[IDLE][1] for one in measured)
    row = Row(
        "loopback attestation at 300 / 2,000 processes and 10,000 sockets: inline p50; event loop blocked",
        "≤ 3 ms; never > 1 ms",
        f"{' / '.join(f'{each:.1f}' for each in inline)} ms; longest {blocked:.2f} ms",
        max(inline) <= INLINE_MS and blocked <= max(BLOCKED_MS, idle),
        f"full walk {' / '.join(f'{each:.0f}' for each in walks)} ms; an idle loop {idle:.2f} ms",
    )
    head = ("processes", "what", "times", "p50 ms", "p99 ms", "loop blocked, longest ms", "with waits for a core")
    lines = tuple(line for one in measured for line in _lines(one))
    return Part("attest", (row,), (Table(head, lines),), NOTES)


NOTES = (
    "Through the entry points that a gateway uses, in two threads beside a uvloop. Another process writes to it each "
    "millisecond: how late its turn comes is how long the loop was blocked. The last column is all of that; the one "
    "before leaves out for how long this process's threads were ready and had no core, which other programs took. "
    "`nothing` is the same loop idle. The oldest process is looked for among all newer ones: once, then it is known."
)


def _among(processes: int, rounds: int) -> Measured:
    measured = Measured(processes)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        [oldest] = stack.enter_context(client_of(listener, 1))
        stack.enter_context(open_sockets(SOCKETS))
        stack.enter_context(sleeping(max(0, processes - _running())))
        start = stack.enter_context(starter(listener))
        seen = stack.enter_context(watch())
        gc.collect()
        gc.freeze()  # as a gateway does
        uvloop.run(_measure(measured, oldest, start, seen, rounds))
        gc.unfreeze()
    return measured


def _running() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


async def _measure(
    measured: Measured,
    oldest: socket.socket,
    start: Callable[[], socket.socket],
    seen: LoopWatch,
    rounds: int,
) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        known = Memory()
        seen.start()
        await _inline(threads, oldest, known)  # from now on it has called before
        for what, memory, times in (
            (KNOWN, known, rounds),
            (NEWEST, known, rounds // 2),
            (OLDEST, None, rounds // 4),
        ):
            seen.take()
            measured.took[what] = []
            for _ in range(times):
                caller = await asyncio.to_thread(start) if what == NEWEST else oldest
                measured.took[what].append(await _inline(threads, caller, memory))
            measured.longest[what] = seen.take()
        begun = time.perf_counter()
        measured.took[WALK] = [await _walk(threads, oldest, known) for _ in range(rounds // 4)]
        measured.longest[WALK] = seen.take()
        await asyncio.sleep(time.perf_counter() - begun)
        measured.longest[IDLE] = seen.take()


async def _inline(threads: ThreadPoolExecutor, caller: socket.socket, memory: Memory | None) -> float:
    arrivals = Arrivals(threads, memory)
    begun = time.perf_counter()
    attested = await asyncio.wrap_future(arrivals.attest(caller.getpeername(), caller.getsockname()))
    took = (time.perf_counter() - begun) * 1000
    attested.close()
    await asyncio.sleep(0.002)
    return took


async def _walk(threads: ThreadPoolExecutor, caller: socket.socket, memory: Memory) -> float:
    attested = await asyncio.wrap_future(Arrivals(threads, memory).attest(caller.getpeername(), caller.getsockname()))
    begun = time.perf_counter()
    await asyncio.wrap_future(Walks(threads).finish(attested))
    took = (time.perf_counter() - begun) * 1000
    attested.close()
    return took


def _lines(one: Measured) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for what, (late, blocked) in one.longest.items():
        times = one.took.get(what, [])
        figures = (f"{statistics.median(times):.2f}", f"{percentile(times, 0.99):.2f}") if times else ("–", "–")
        lines.append((f"{one.processes:,}", what, str(len(times)), *figures, f"{blocked:.2f}", f"{late:.2f}"))
    return lines
