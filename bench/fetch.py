"""How long a workload waits for an X.509-SVID: of a process that is known, and of one that was never seen."""

import statistics
import tempfile
from pathlib import Path

from bench.instance import Instance, instance
from bench.load import percentile
from bench.peers import SCRATCH
from bench.report import Part, Row, Table

WARM_MS, COLD_MS = 5.0, 25.0
SETTLE_FETCHES = 20


def run(quick: bool) -> Part:
    warm, cold = (200, 5) if quick else (1_000, 25)
    with instance(10) as remit:
        remit.said("fetch", str(SETTLE_FETCHES))
        took = {
            "the same process again, one connection": remit.said("fetch", str(warm + 1))[1:],
            "the same process again, a connection each": remit.said("connect", str(warm // 4 + 1))[1:],
            "a fresh process of a known executable": [remit.said("connect", "1")[0] for _ in range(cold)],
            "a fresh process, its executable never seen": _never_seen(remit, cold),
        }
        size = remit.agent.stat().st_size / 1e6
    warm_times, *_, cold_times = took.values()
    warm_p50, cold_p50 = statistics.median(warm_times), statistics.median(cold_times)
    row = Row(
        "Workload API: X.509-SVID fetched, p50, attestation warm / cold",
        "≤ 5 / 25 ms",
        f"{warm_p50:.1f} / {cold_p50:.1f} ms",
        warm_p50 <= WARM_MS and cold_p50 <= COLD_MS,
        f"p99 {percentile(warm_times, 0.99):.1f} / {percentile(cold_times, 0.99):.1f} ms",
    )
    lines = tuple(
        (what, f"{len(times):,}", f"{statistics.median(times):.2f}", f"{percentile(times, 0.99):.2f}")
        for what, times in took.items()
    )
    return Part("fetch", (row,), (Table(("who asks", "times", "p50 ms", "p99 ms"), lines),), NOTES.format(size=size))


NOTES = (
    "`remit up` on one core, the workload on the other: a gRPC client in a process of its own, registered by its "
    "executable's digest. From the question to the answer, where it connects anew from before that: attested, every "
    "holder of the connection looked at, a key made, the SVID signed, its record on disk. The executable that was "
    "never seen has {size:.0f} MB, and is hashed whole."
)


def _never_seen(remit: Instance, times: int) -> list[float]:
    """Copies of the agent's executable: files that no digest is known of, with one that is registered."""
    taken = []
    for number in range(times):
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            exe = Path(folder) / f"agent{number}"
            exe.write_bytes(remit.agent.read_bytes())
            exe.chmod(0o755)
            taken.append(remit.said("connect", "1", exe=exe)[0])
    return taken
