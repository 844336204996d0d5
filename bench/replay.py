"""How many recorded decisions a second are made again under a candidate: of a household's log, and all different.

python -m bench.replay [--records 100000]
"""

import argparse
import json
import statistics
import time
from typing import Any

from bench.decide import DIGEST, TD, household, sid
from bench.report import Part, Row
from remit.inventory import Kind
from remit.policy import PolicyFile
from remit.policy.in_force import InForce
from remit.policy.known import known
from remit.policy.replay import Replay

POLICIES = 200
TARGET = 10_000
# In every slice, so that what tells the decisions apart is read by each of them.
READS = """@id("reads")
forbid (principal, action, resource)
when { context.model.name == "x" && context.presence == "away" && context.time.hour > 20 && context.stream };"""


def record(number: int, names: int) -> dict[str, Any]:
    """A call of one of 200 agents to one of 40 servers, for one of `names` models."""
    return {
        "kind": "start", "outcome": "allowed", "id": f"d{number}", "person": f"p-{number % 20}",
        "workload": str(sid("agent", f"a{number % 200}")), "proof": "unix", "task": None, "chain": [],
        "action": "infer", "resource": str(sid("inference", f"w{number % 40}")), "route": "POST /v1/chat/completions",
        "model": f"m{number % names}", "model_digest": DIGEST, "rule": "p1", "found": {}, "grade": "C",
        "facts": {"exhaustive": True, "stream": False, "approved": True, "zone": "inference", "presence": "here",
                  "facts": ["disk_encrypted"], "time": {"hour": number // 4_000 % 24, "weekday": 1}},
    }  # fmt: skip


def replay() -> Replay:
    rows = {f"w{n}": {"owner": f"h{n}", "model": "smol"} for n in range(40)}
    agents = {f"a{n}": {"owner": f"h{n}", "kind": Kind.AGENT.value} for n in range(200)}
    there = known({"trust_domain": TD, "workload": {**rows, **agents}}, "bench")
    return Replay(
        InForce(there.snapshot((*household(POLICIES), PolicyFile("reads.cedar", READS)))),
        {f"p-{n}": f"h{n}" for n in range(20)},
    )


def rate(records: int, names: int) -> float:
    """Decisions a second."""
    rows = [json.dumps(record(number, names), separators=(",", ":")).encode() for number in range(records)]
    candidate = replay()
    begun = time.perf_counter()
    told = candidate.all(json.loads(row) for row in rows)
    took = time.perf_counter() - begun
    assert told.decisions == records
    assert not told.unknown
    return records / took


def run(quick: bool) -> Part:
    records = 20_000 if quick else 100_000
    alike, different = (
        statistics.median(rate(count, names) for _ in range(3))
        for count, names in ((records, 4), (records // 5, records))
    )
    row = Row(
        "recorded decisions made again",
        "≥ 10,000 a second",
        f"{different:,.0f} a second",
        different >= TARGET,
        f"no two alike: 200 agents, 40 servers, {POLICIES} policies; {alike:,.0f} a second of a log of 4 models",
    )
    return Part("replay", (row,), (), "Medians of three runs. Parsing each record is in it, reading the file is not.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    records = parser.parse_args().records
    print("| log | policies | decisions a second |\n|---|---:|---:|")
    print(f"| 200 agents, 4 models | {POLICIES} | {rate(records, 4):,.0f} |")
    print(f"| each different | {POLICIES} | {rate(records // 5, records):,.0f} |")


if __name__ == "__main__":
    main()
