"""What 10,000 registered workloads and 1,000 open Workload API streams cost, beside ten and none."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.decide import NOW, intent, snapshot
from bench.instance import Instance, instance, rows
from bench.report import Part, Row, Table
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import Kind
from remit.policy import Engine, Snapshot

FEW, MANY, STREAMS = 10, 10_000, 1_000
HOLDERS = 10  # processes that hold the streams, each over a connection of its own: what one uid may have is 2,048
FLAT = 1.10
POLICIES = 20
SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Whole:
    """One running Remit: MiB resident, ms until a change was in force, and the share of a core at rest."""

    control: float
    gateway: float
    change: float
    rest_control: float
    rest_gateway: float
    streams: float

    @property
    def rest(self) -> float:
        return self.rest_control + self.rest_gateway


def run(quick: bool) -> Part:
    seconds = 5.0 if quick else 30.0
    few, many = _whole(FEW, 0, seconds / 3), _whole(MANY, STREAMS, seconds)
    costs = _costs(1_000 if quick else 4_000)
    slowest = max(at_many / at_few for at_few, at_many in costs.values())
    decided = costs[DECIDED]
    row = Row(
        "10,000 registered workloads, 1,000 open streams: cost of a decision, memory, CPU at rest",
        "flat: ≤ 1.10 × that of ten",
        f"{decided[1]:.0f} µs against {decided[0]:.0f}; control {many.streams:.0f} MiB, "
        f"gateway {many.gateway:.0f} MiB, {many.rest:.1%} of a core",
        slowest <= FLAT,
        f"10 workloads, no stream: {few.control:.0f} and {few.gateway:.0f} MiB, {few.rest:.1%}",
    )
    head = ("", f"{FEW} workloads", f"{MANY:,} workloads")
    shown = [(what, f"{at_few:.1f} µs", f"{at_many:.1f} µs") for what, (at_few, at_many) in costs.items()]
    shown += [
        (
            "one more registered: recorded, kept, in force at the gateway",
            f"{few.change:.0f} ms",
            f"{many.change:.0f} ms",
        ),
        ("memory of control", f"{few.control:.0f} MiB", f"{many.control:.0f} MiB"),
        (f"memory of control with {STREAMS:,} streams open", "–", f"{many.streams:.0f} MiB"),
        ("memory of the gateway", f"{few.gateway:.0f} MiB", f"{many.gateway:.0f} MiB"),
        ("control's CPU at rest, with those streams", f"{few.rest_control:.1%}", f"{many.rest_control:.1%}"),
        ("the gateway's CPU at rest", f"{few.rest_gateway:.1%}", f"{many.rest_gateway:.1%}"),
    ]
    return Part("registry", (row,), (Table(head, tuple(shown)),), NOTES.format(seconds=f"{seconds:.0f}"))


DECIDED, WHOSE = "a decision, not cached, 20 policies", "which workload a process is"
NOTES = (
    "Two whole Remits, one after the other. The change is asked of control's own socket, and answered when the "
    "gateway has acknowledged it: median of ten. At rest is {seconds} s without a call (a third of that for ten), in "
    "which each stream's caller is looked at again. The streams are 1,000 connections of 10 processes."
)


def _whole(registered: int, streams: int, seconds: float) -> Whole:
    with instance(registered) as remit, ExitStack() as held:
        time.sleep(SETTLE_SECONDS)
        control, gateway = remit.control.resident_mib(), remit.gateway.resident_mib()
        change = statistics.median(_change(remit, number) for number in range(10))
        for _ in range(HOLDERS if streams else 0):
            holder = held.enter_context(remit.workload("hold", str(streams // HOLDERS)))
            assert holder.stdout is not None
            if int(holder.stdout.readline()) != streams // HOLDERS:
                raise RuntimeError("a stream gave no SVID")
        time.sleep(SETTLE_SECONDS)
        before = remit.control.cpu_seconds(), remit.gateway.cpu_seconds()
        time.sleep(seconds)
        after = remit.control.cpu_seconds(), remit.gateway.cpu_seconds()
        at_rest = [(now - then) / seconds for then, now in zip(before, after, strict=True)]
        return Whole(control, gateway, change, at_rest[0], at_rest[1], remit.control.resident_mib())


def _change(remit: Instance, number: int) -> float:
    """Milliseconds to register one more workload."""
    body: dict[str, Any] = {
        "name": f"new{number}",
        "kind": "agent",
        "selectors": [f"unix:uid:{30_000 + number}", f"unix:path:/opt/new{number}"],
        "owner": None,
        "facts": {},
    }
    begun = time.perf_counter()
    remit.ask("POST", "workloads", body=body)
    return (time.perf_counter() - begun) * 1000


def _costs(rounds: int) -> dict[str, tuple[float, float]]:
    """µs of each at FEW and at MANY: medians of single calls, by turns, so that a noisy moment falls on both."""
    few, many = (Engine(_registered(count)) for count in (FEW, MANY))
    me = observe(os.getpid(), digests=EXECUTABLES)
    decided, whose = [], []
    for number in range(rounds):
        asked = intent(f"m{number}")
        decided.append([_us(partial(engine.decide, asked, NOW, "d")) for engine in (few, many)])
        whose.append([_us(partial(engine.workload_of, me)) for engine in (few, many)])
    return {what: _medians(taken) for what, taken in ((DECIDED, decided), (WHOSE, whose))}


def _registered(count: int) -> Snapshot:
    """The servers that `bench.decide` asks about, and agents: `count` workloads."""
    asked = snapshot(POLICIES, FEW)
    servers = tuple(one for one in asked.workloads if one.kind is Kind.MODEL_SERVER)
    return replace(asked, workloads=(*servers, *rows(count - len(servers))))


def _us(call: Callable[[], object]) -> float:
    begun = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - begun) / 1000


def _medians(taken: list[list[float]]) -> tuple[float, float]:
    few, many = (statistics.median(each) for each in zip(*taken, strict=True))
    return few, many
