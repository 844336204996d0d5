"""How long a decision takes: sliced, cached, and plain `cedarpy` from strings, in one run. Prints a Markdown table.

    python bench/decide.py [--seconds 3]

Policies are what a household of that size would have: the starter policies, and permits for named
agents and for named owners, and a forbid for every twentieth.
"""

import argparse
import dataclasses
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import cedarpy

from remit.identity import Caller, Proof, SpiffeId
from remit.inventory import Capability, Human, Kind, Model, Workload
from remit.policy import Action, Engine, Intent, PolicyFile, Snapshot, policy_set_digest
from remit.policy.question import of_intent, person_entity, workload_entity
from remit.policy.schema import SCHEMA_TEXT, STARTER_TEXT

TD = "bench.local"
NOW = 1_800_000_000.0
DIGEST = "sha256:" + "ab" * 32


def sid(*path: str) -> SpiffeId:
    return SpiffeId.of(TD, *path)


def household(policies: int) -> tuple[PolicyFile, ...]:
    """The starter policies and as many more as make `policies` in all."""
    extra = []
    for number in range(policies - 5):
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


def snapshot(policies: int, workloads: int = 40) -> Snapshot:
    files = household(policies)
    rows = tuple(
        Workload(
            sid("inference", f"w{number}"),
            f"w{number}",
            Kind.MODEL_SERVER,
            "ada",
            "llama.cpp",
            "unix:/run/x",
            "private",
            (Capability.STORE, Capability.DISCLOSE),
            (Model("m", DIGEST),),
        )
        for number in range(workloads)
    )
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
        workloads=rows,
        tasks=(),
        x509_authorities=(),
        jwt_authorities={},
    )


def intent(model: str) -> Intent:
    caller = Caller(sid("user", "ada"), "ada", "p", Proof.LOOPBACK, None, False, True)
    body = hashlib.sha256(b"{}").digest()
    route = "POST /v1/chat/completions"
    return Intent(caller, Action.INFER, sid("inference", "w7"), route, "openai", model, DIGEST, False, (), body)


def median_us(decide: Callable[[int], object], seconds: float) -> float:
    """The median of single calls over `seconds`; the call is given its number."""
    taken, until, number = [], time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        started = time.perf_counter_ns()
        decide(number)
        taken.append(time.perf_counter_ns() - started)
        number += 1
    return statistics.median(taken[len(taken) // 20 :]) / 1000


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each cell")
    seconds = parser.parse_args().seconds
    print("| policies | load + engine, ms | sliced, µs | cached, µs | from strings, µs | in the slice |")
    print("|---:|---:|---:|---:|---:|---:|")
    for policies in (20, 200, 2000):
        snap = snapshot(policies)
        started = time.perf_counter()
        engine = Engine(snap)
        loaded = (time.perf_counter() - started) * 1000
        fresh = [intent(f"m{number}") for number in range(60_000)]
        same = fresh[0]
        sliced = median_us(lambda number: engine.decide(fresh[number % 60_000], NOW, "d"), seconds)  # noqa: B023
        cached = median_us(lambda _: engine.decide(same, NOW, "d"), seconds)  # noqa: B023
        strings = median_us(plain(snap), seconds)
        question = of_intent(same, "ada", snap.workloads[7], None, "C")
        size = len(engine.in_force.slice(question).policies)
        print(f"| {policies} | {loaded:.0f} | {sliced:.0f} | {cached:.1f} | {strings:.0f} | {size} |", flush=True)


if __name__ == "__main__":
    main()
