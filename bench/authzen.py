"""AuthZEN evaluations a second on one core: one a request, several in one, each recorded before it is answered."""

import getpass
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.load import Client, Rate, connect, drop, percentile, while_well
from bench.peers import ROOT, SCRATCH, Peer, alone, cores, process, ready
from bench.report import Part, Row, Table

KEPT: Final = 64
PORT: Final = 18_600
TOGETHER: Final = 20
USERS, RECORDS = 40, 250
LEAST: Final = 2_500
NAMES: Final = ("view", "edit", "delete")
POLICIES: Final = """
@id("view-own") @reason("who owns a record sees and changes it")
permit (principal, action == Action::"access", resource)
when { context has access && ["view", "edit", "delete"].contains(context.access.name) &&
       context.access.same.contains("id=owner") };
@id("view-department") @reason("a department's records are its own")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" &&
       context.access.same.contains("department=department") };
@id("managers") @reason("a manager sees all")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" && context.access.subject.facts.contains("role=manager") };
"""


def run(quick: bool) -> Part:
    """Rounds of single evaluations, of batches, and of one question over and over; medians."""
    seconds, rounds = (1.0, 3) if quick else (3.0, 5)
    seen: dict[str, list[Rate]] = {"one a request, all different": [], "one, over and over": [], "twenty in one": []}
    with decision_point() as peer:
        for _ in range(rounds):
            for name, bodies in zip(seen, (singles(), singles()[:1], batches()), strict=True):
                seen[name].append(uvloop.run(closed_loop(peer, bodies, seconds)))
    medians = {name: _median(rates) for name, rates in seen.items()}
    return Part("authzen", _rows(medians), (_table(medians),), NOTES.format(seconds=seconds, rounds=rounds))


NOTES = (
    "{rounds} rounds of {seconds:g} s, medians. {users} users, {records} records in the catalogue and three actions, "
    "asked in an order in which none comes again within 30,000. Each decision is on disk, signed, before it is told; "
    "CPU is the worker's with all its threads."
).replace("{users}", str(USERS)).replace("{records}", str(RECORDS))  # fmt: skip


@contextmanager
def decision_point() -> Iterator[Peer]:
    """`remit up` with its zone of decisions on one core, in front of nothing."""
    proxy, other = cores()
    SCRATCH.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone())
        os.sched_setaffinity(0, {other})
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)))
        (home / "policies").mkdir(mode=0o700)
        (home / "policies/catalogue.toml").write_text(catalogue())
        (home / "policies/records.cedar").write_text(POLICIES)
        me = getpass.getuser()
        (home / "config.toml").write_text(
            'trust_domain = "bench.local"\n[discovery]\nlook = false\n[proof]\nneeds = "uid"\n'
            f"[gateway]\nport = {PORT}\n"
            f'[decisions]\nlisten = "127.0.0.1:0"\npoints = ["user/{me}"]\n'
        )
        command = [str(Path(sys.executable).with_name("remit")), "up", "--json", "--state", str(home), "--owner", me]
        child = stack.enter_context(process(proxy, command, stdout=subprocess.PIPE, cwd=ROOT))
        said = ready(child)
        port = int(said["decisions"]["authzen_tcp"].rpartition(":")[2])
        yield Peer("remit", port, int(said["workers"]["decisions"]), home / "audit")


def catalogue() -> str:
    roles = ["staff" if n % 10 else "manager" for n in range(USERS)]
    subjects = (
        f'[subject."user/u{n}"]\nfacts = {{ department = "d{n % 7}", role = "{role}" }}\n'
        for n, role in enumerate(roles)
    )
    records = (
        f'[resource."record/{n}"]\nfacts = {{ department = "d{n % 5}", owner = "u{n % USERS}" }}\n'
        for n in range(RECORDS)
    )
    return "".join([*subjects, *records])


def question(number: int) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": f"u{number % USERS}"},
        "action": {"name": NAMES[number // USERS % len(NAMES)]},
        "resource": {"type": "record", "id": str(number // USERS // len(NAMES) % RECORDS)},
    }


def singles() -> list[bytes]:
    return [post("/access/v1/evaluation", question(number)) for number in range(USERS * RECORDS * len(NAMES))]


def batches() -> list[bytes]:
    every = range(0, USERS * RECORDS * len(NAMES), TOGETHER)
    asked = ([question(start + n) for n in range(TOGETHER)] for start in every)
    return [post("/access/v1/evaluations", {"evaluations": several}) for several in asked]


def post(path: str, body: Any) -> bytes:
    said = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{{port}}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(said)}\r\n\r\n"
    )
    return head.encode() + said


async def closed_loop(peer: Peer, bodies: list[bytes], seconds: float) -> Rate:
    """As many as `KEPT` kept-alive connections get answered, each the next of `bodies`."""
    took: list[float] = []
    following = cycle([body.replace(b"{port}", str(peer.port).encode()) for body in bodies])

    def again(client: Client) -> None:
        took.append((time.perf_counter_ns() - client.sent) / 1000)
        client.ask(next(following))

    clients = [await connect(peer.port, again) for _ in range(KEPT)]
    for client in clients:
        client.ask(next(following))
    await while_well(clients, 1.0)
    took.clear()
    cpu, began = peer.cpu_seconds(), time.perf_counter()
    await while_well(clients, seconds)
    elapsed, used, seen = time.perf_counter() - began, peer.cpu_seconds() - cpu, list(took)
    drop(clients)
    return Rate(len(seen) / elapsed, used / len(seen) * 1e6, statistics.median(seen), percentile(seen, 0.99))


def _median(rates: list[Rate]) -> Rate:
    fields = ("per_second", "cpu_us", "p50_us", "p99_us")
    return Rate(*(statistics.median(getattr(rate, field) for rate in rates) for field in fields))


def _rows(medians: dict[str, Rate]) -> tuple[Row, ...]:
    one, many = medians["one a request, all different"], medians["twenty in one"]
    return (
        Row(
            "AuthZEN evaluations, 64 kept-alive connections",
            f"≥ {LEAST:,} a second on a core",
            f"{one.per_second:,.0f}/s",
            one.per_second >= LEAST,
            f"twenty in one request: {many.per_second * TOGETHER:,.0f}/s",
        ),
    )


def _table(medians: dict[str, Rate]) -> Table:
    head = ("", "requests/s", "evaluations/s", "CPU µs an evaluation", "p50 / p99 ms a request")
    shown = []
    for name, rate_of in medians.items():
        each = TOGETHER if name == "twenty in one" else 1
        shown.append(
            (
                name,
                f"{rate_of.per_second:,.0f}",
                f"{rate_of.per_second * each:,.0f}",
                f"{rate_of.cpu_us / each:.0f}",
                f"{rate_of.p50_us / 1000:.2f} / {rate_of.p99_us / 1000:.2f}",
            )
        )
    return Table(head, tuple(shown))
