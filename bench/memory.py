"""The gateway worker's memory: at its start, over 100,000 calls, with 1,000 streams open, and after them."""

import asyncio

import uvloop

from bench.load import counted, drop, open_streams
from bench.peers import Peer, Run, running
from bench.report import Part, Row, Table

LIMIT_MIB = 120
SETTLE_SECONDS = 1.0
STEPS = 5
FLAT = 1.05  # of the size after the first fifth of the calls: by then all caches are full


def run(quick: bool) -> Part:
    calls, streams = (10_000, 200) if quick else (100_000, 1_000)
    with running("remit") as peers:
        peer = peers["remit"]
        sizes = [("at its start", peer.resident_mib())]
        for step in range(1, STEPS + 1):
            uvloop.run(counted(peer, 64, calls // STEPS))
            sizes.append((f"after {calls // STEPS * step:,} calls", peer.resident_mib()))
        sizes += uvloop.run(_streams(peers, peer, streams))
    largest = max(size for _, size in sizes)
    grown = sizes[STEPS][1] / sizes[1][1]
    row = Row(
        "memory of the gateway",
        "≤ 120 MB; flat over 100,000 calls and 1,000 open streams",
        f"{sizes[0][1]:.0f} MiB at start, {sizes[STEPS][1]:.0f} after {calls:,} calls, "
        f"{sizes[-2][1]:.0f} with {streams:,} streams open",
        largest <= LIMIT_MIB and grown <= FLAT,
        f"× {grown:.2f} from {calls // STEPS:,} to {calls:,} calls",
    )
    table = Table(("gateway worker", "resident MiB"), tuple((what, f"{size:.1f}") for what, size in sizes))
    return Part("memory", (row,), (table,), "Resident set of the worker process (VmRSS), libraries counted in.")


async def _streams(peers: Run, peer: Peer, count: int) -> list[tuple[str, float]]:
    clients = await open_streams(peer, peers.stamps, count, 1_000_000)
    await asyncio.sleep(SETTLE_SECONDS)
    held = peer.resident_mib()
    drop(clients)
    await asyncio.sleep(SETTLE_SECONDS)
    return [(f"with {count:,} streams open", held), ("after the streams", peer.resident_mib())]
