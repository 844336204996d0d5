"""How many recorded decisions a second are made again under a candidate: of a household's log, and all different.

python -m bench.replay [--records 100000]
"""

import argparse
import statistics
import time
from typing import Any

from bench.decide import DIGEST, TD, household, sid
from bench.report import Part, Row
from remit.inventory import Kind
from remit.policy.in_force import InForce
from remit.policy.known import known
from remit.policy.replay import Replay

POLICIES = 200
TARGET = 10_000


def record(number: int, routes: int) -> dict[str, Any]:
    """A call of one of 200 agents to one of 40 servers, in one of `routes` circumstances."""
    return {
        "kind": "start", "outcome": "allowed", "id": f"d{number}", "person": f"p-{number % 20}",
        "workload": str(sid("agent", f"a{number % 200}")), "proof": "unix", "task": None, "chain": [],
        "action": "infer", "resource": str(sid("inference", f"w{number % 40}")), "route": "POST /v1/chat/completions",
        "model": "smol", "model_digest": DIGEST, "rule": "p1", "found": {}, "grade": "C",
        "facts": {"exhaustive": True, "stream": False, "approved": True, "zone": f"z{number % routes}"},
    }  # fmt: skip


def replay() -> Replay:
    rows = {f"w{n}": {"owner": f"h{n}", "model": "smol"} for n in range(40)}
    agents = {f"a{n}": {"owner": f"h{n}", "kind": Kind.AGENT.value} for n in range(200)}
    there = known({"trust_domain": TD, "workload": {**rows, **agents}}, "bench")
    return Replay(InForce(there.snapshot(household(POLICIES))), {f"p-{n}": f"h{n}" for n in range(20)})


def rate(records: int, routes: int) -> float:
    """Decisions a second."""
    rows = [record(number, routes) for number in range(records)]
    candidate = replay()
    begun = time.perf_counter()
    told = candidate.all(rows)
    took = time.perf_counter() - begun
    assert told.decisions == records
    assert not told.unknown
    return records / took


def run(quick: bool) -> Part:
    records = 20_000 if quick else 100_000
    alike, different = (
        statistics.median(rate(count, routes) for _ in range(3))
        for count, routes in ((records, 4), (records // 5, records))
    )
    row = Row(
        "recorded decisions made again",
        "≥ 10,000 a second",
        f"{alike:,.0f} a second",
        alike >= TARGET,
        f"200 agents, 40 servers, {POLICIES} policies; {different:,.0f} a second where no two are alike",
    )
    return Part("replay", (row,), (), "Medians of three runs; parsing the log is not in it.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    records = parser.parse_args().records
    print("| log | policies | decisions a second |\n|---|---:|---:|")
    print(f"| 200 agents, 4 circumstances | {POLICIES} | {rate(records, 4):,.0f} |")
    print(f"| each different | {POLICIES} | {rate(records // 5, records):,.0f} |")


if __name__ == "__main__":
    main()
