"""How long a decision takes: sliced, cached, refused, and plain `cedarpy` from strings, in one run. Prints a table.

    python -m bench.decide [--seconds 2]

Policies are what a household of that size would have: the starter policies, and permits for named
agents and for named owners, and a forbid for every twentieth. Half of the workloads are agents.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from remit.identity import Caller, Proof, SpiffeId
from remit.inventory import Capability, Human, Kind, Model, Workload
from remit.policy import Action, Engine, Intent, PolicyFile, RefusedError, Snapshot, policy_set_digest
from remit.policy.question import of_intent, person_entity, workload_entity
from remit.policy.schema import SCHEMA_TEXT, STARTER_TEXT

TD = "bench.local"
NOW = 1_800_000_000.0
DIGEST = "sha256:" + "ab" * 32
SIZES: Final = ((20, 100), (20, 10_000), (200, 100), (200, 10_000), (2_000, 100), (2_000, 10_000))
CALLERS: Final = 50
STARTER: Final = STARTER_TEXT.count('@id("')
HEAD: Final = (
    "policies", "entities", "load, ms", "p50", "p99", "CPU", "cached p50", "cached p99", "cached CPU",
    "refused p50", "a caller's first", "from strings", "in the slice",
)  # fmt: skip


def sid(*path: str) -> SpiffeId:
    return SpiffeId.of(TD, *path)


def household(policies: int) -> tuple[PolicyFile, ...]:
    """The starter policies and as many more as make `policies` in all."""
    extra = []
    for number in range(policies - STARTER):
        target = f'Workload::"{sid("inference", f"w{number % 200}")}"'
        agent = f'Workload::"{sid("agent", f"a{number}")}"'
        note = f'@id("p{number}")'
        kind = number % 20
        if kind == 0:
            extra.append(
                f'{note} forbid(principal, action == Action::"administer", resource == {target})'
                ' when { context.model.name == "x" };'
            )
        elif kind % 2:
            extra.append(f'{note} permit(principal == {agent}, action == Action::"infer", resource == {target});')
        else:
            extra.append(
                f'{note} permit(principal, action in [Action::"infer", Action::"embed"], resource)'
                f' when {{ resource.owner == Human::"h{number}" && context.model.known }};'
            )
    return (PolicyFile("starter.cedar", STARTER_TEXT), PolicyFile("more.cedar", "\n".join(extra)))


@functools.cache
def rows(entities: int) -> tuple[Workload, ...]:
    """As many model servers as agents."""
    half = entities // 2
    servers = [_workload(sid("inference", f"w{number}"), Kind.MODEL_SERVER) for number in range(half)]
    return (*servers, *(_workload(sid("agent", f"a{number}"), Kind.AGENT) for number in range(entities - half)))


def _workload(spiffe_id: SpiffeId, kind: Kind) -> Workload:
    held = (Capability.STORE, Capability.DISCLOSE) if kind is Kind.MODEL_SERVER else (Capability.ACT,)
    name = spiffe_id.path.rpartition("/")[2]
    return Workload(spiffe_id, name, kind, "ada", "llama.cpp", "unix:/run/x", "private", held, (Model("m", DIGEST),))


def snapshot(policies: int, entities: int = 100) -> Snapshot:
    files = household(policies)
    return Snapshot(
        epoch=1,
        issued=NOW,
        lifetime=300.0,
        trust_domain=TD,
        grade="C",
        policy_files=files,
        policy_set=policy_set_digest(files),
        policy_warning="",
        humans=(Human("ada", "p", (1000,)),),
        workloads=rows(entities),
        tasks=(),
        x509_authorities=(),
        jwt_authorities={},
    )


PERSON: Final = Caller(sid("user", "ada"), "ada", "p", Proof.LOOPBACK, None, False, True)


def callers(policies: int, entities: int) -> list[tuple[Caller, SpiffeId]]:
    """Agents that a policy of their own permits, each with what it permits; and ada, who owns everything."""
    half = entities // 2
    own = [number for number in range(1, policies - STARTER, 2) if number < half and number % 200 < half][
        : CALLERS - 1
    ]
    named = [(_agent(f"a{number}"), sid("inference", f"w{number % 200}")) for number in own]
    return [*named, (PERSON, sid("inference", "w7"))]


def _agent(name: str) -> Caller:
    return Caller(sid("agent", name), "ada", "p", Proof.MTLS, None, True, True)


def intent(
    model: str, caller: Caller = PERSON, resource: SpiffeId | None = None, act: Action = Action.INFER
) -> Intent:
    body = hashlib.sha256(b"{}").digest()
    on = resource or sid("inference", "w7")
    return Intent(caller, act, on, "POST /v1/chat/completions", "openai", model, DIGEST, False, (), body)


@dataclass(frozen=True, slots=True)
class Taken:
    """Of single calls, in µs: the middle one, the slowest but one in a hundred, and the processor's time for each."""

    p50: float
    p99: float
    cpu: float


def taken(decide: Callable[[int], object], seconds: float, least: int = 5) -> Taken:
    """Over `seconds`, and no fewer than `least`; `decide` is given the call's number."""
    found: list[int] = []
    number, until, cpu = 0, time.perf_counter() + seconds, time.process_time()
    while number < least or time.perf_counter() < until:
        started = time.perf_counter_ns()
        decide(number)
        found.append(time.perf_counter_ns() - started)
        number += 1
    cpu = time.process_time() - cpu
    found.sort()
    return Taken(found[len(found) // 2] / 1e3, found[len(found) * 99 // 100] / 1e3, cpu / number * 1e6)


def plain(snap: Snapshot) -> Callable[[int], object]:
    """`cedarpy` as its front page shows it: everything as text, at each call."""
    policies = "\n".join(file.text for file in snap.policy_files)
    entities: list[dict[str, Any]] = [workload_entity(row) for row in snap.workloads]
    entities.append(person_entity(sid("user", "ada"), "ada"))
    text = json.dumps(entities)
    question = of_intent(intent("m"), "ada", snap.workloads[7], None, "C")

    def decide(number: int) -> object:
        asked = dataclasses.replace(question, model=f"m{number}")
        return cedarpy.is_authorized(asked.request(), policies, text, SCHEMA_TEXT)

    return decide


def refusing(engine: Engine) -> Callable[[int], object]:
    """A stranger's calls: refused, with what is missing decided again each time."""
    stranger = dataclasses.replace(PERSON, spiffe_id=sid("user", "eve"), human="eve")

    def decide(number: int) -> object:
        try:
            return engine.decide(intent(f"m{number}", stranger), NOW, "d")
        except RefusedError as refusal:
            return refusal

    return decide


def firsts(engine: Engine, some: Sequence[tuple[Caller, SpiffeId]]) -> float:
    """The median of each caller's first call: its policies are compiled, and its entity added if it has none."""
    found = []
    for number, (caller, resource) in enumerate(some):
        asked = intent(f"first{number}", caller, resource)
        started = time.perf_counter_ns()
        engine.decide(asked, NOW, "d")
        found.append((time.perf_counter_ns() - started) / 1e3)
    return sorted(found)[len(found) // 2]


def line(policies: int, entities: int, seconds: float) -> list[float]:
    """One line of the table, without its first two cells."""
    snap, some = snapshot(policies, entities), callers(policies, entities)
    started = time.perf_counter()
    engine = Engine(snap)
    loaded = (time.perf_counter() - started) * 1e3
    first = firsts(engine, some)
    fresh = [intent(f"m{number}", *some[number % len(some)]) for number in range(60_000)]
    sliced = taken(lambda number: engine.decide(fresh[number % len(fresh)], NOW, "d"), seconds)
    cached = taken(lambda number: engine.decide(fresh[number % len(some)], NOW, "d"), seconds)
    refused = taken(refusing(engine), seconds / 2)
    strings = taken(plain(snap), seconds)
    size = len(engine.in_force.slice(of_intent(fresh[0], "ada", snap.workloads[7], None, "C")).policies)
    return [
        loaded, sliced.p50, sliced.p99, sliced.cpu, cached.p50, cached.p99, cached.cpu, refused.p50, first,
        strings.p50, size,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each cell")
    seconds = parser.parse_args().seconds
    print(f"| {' | '.join(HEAD)} |\n|{'---:|' * len(HEAD)}")
    for policies, entities in SIZES:
        shown = [f"{cell:.1f}" for cell in line(policies, entities, seconds)]
        print(f"| {policies} | {entities} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
