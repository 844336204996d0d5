"""Streaming: time to first token, and what each piece of 64 streams at 50 pieces/s is held up and costs."""

import statistics

import uvloop

from bench.load import Flow, first_pieces, flow, percentile
from bench.peers import Peer, Run, running
from bench.report import Part, Row, Table

STREAMS, EVERY_US = 64, 20_000

Round = tuple[float, float, Flow, Flow]


def run(quick: bool) -> Part:
    """Interleaved rounds over all peers; medians of the rounds."""
    seconds, firsts, rounds = (1.5, 200, 3) if quick else (4.0, 600, 5)
    seen: dict[str, list[Round]] = {}
    with running("nginx", "litellm", "remit") as peers:
        for _ in range(rounds):
            for peer in peers.peers:
                try:
                    seen.setdefault(peer.name, []).append(_round(peers, peer, seconds, firsts))
                except OSError as error:
                    raise RuntimeError(f"{peer.name}: {error}") from error
    medians = {name: _median(found) for name, found in seen.items()}
    notes = (
        f"{rounds} interleaved rounds, medians; {firsts} streams one after another for the first token (LiteLLM a "
        f"quarter of that), {seconds:g} s of 64 streams for the pieces. Spread: the streams' pieces come at even "
        "intervals, as from independent answers. In step: all 64 pieces come at once, as from a server that decodes "
        "in batches; then the last of them waits for 63 others, also without a proxy. Time on the way is from the "
        "model server's write to the client's read."
    )
    return Part("stream", _rows(medians), (_table(medians),), notes)


def _round(peers: Run, peer: Peer, seconds: float, firsts: int) -> Round:
    took = uvloop.run(first_pieces(peer, firsts if peer.name != "litellm" else firsts // 4))
    spread, in_step = (
        uvloop.run(flow(peer, peers.stamps, STREAMS, EVERY_US, seconds, spread=spread)) for spread in (True, False)
    )
    return statistics.median(took), percentile(took, 0.99), spread, in_step


def _median(rounds: list[Round]) -> Round:
    first, late, spread, in_step = zip(*rounds, strict=True)
    return statistics.median(first), statistics.median(late), _flow(spread), _flow(in_step)


def _flow(flows: tuple[Flow, ...]) -> Flow:
    fields = ("p50_ms", "p99_ms", "cpu_us", "per_second")
    return Flow(*(statistics.median(getattr(each, field) for each in flows) for field in fields))


def _rows(medians: dict[str, Round]) -> tuple[Row, ...]:
    direct, ours = medians["direct"], medians["remit"]
    first, late = ours[0] - direct[0], ours[1] - direct[1]
    others = [(name, found) for name, found in medians.items() if name not in {"direct", "remit"}]
    held, cpu = ours[2].p50_ms - direct[2].p50_ms, ours[2].cpu_us
    return (
        Row(
            "added time to first token, streaming, p50 / p99",
            "≤ 0.8 / 5 ms over direct",
            f"{first:.2f} / {late:.2f} ms",
            first <= 0.8 and late <= 5,
            ", ".join(f"{name} {f[0] - direct[0]:.2f} / {f[1] - direct[1]:.2f} ms" for name, f in others),
        ),
        Row(
            "SSE, 64 streams at 50 chunks/s: added p50 a chunk, CPU a chunk",
            "≤ 0.25 ms, ≤ 40 µs",
            f"{held:.2f} ms, {cpu:.0f} µs",
            held <= 0.25 and cpu <= 40,
            ", ".join(f"{name} {f[2].p50_ms - direct[2].p50_ms:.2f} ms, {f[2].cpu_us:.0f} µs" for name, f in others),
        ),
    )


def _table(medians: dict[str, Round]) -> Table:
    lines = [
        (name, f"{first:.2f} / {late:.2f}", *_cells(spread), *_cells(in_step))
        for name, (first, late, spread, in_step) in medians.items()
    ]
    head = ("by way of", "first token, p50 / p99 ms", "spread: p50 / p99 ms", "CPU µs a piece", "pieces/s")
    return Table((*head, "in step: p50 / p99 ms", "CPU µs a piece", "pieces/s"), tuple(lines))


def _cells(flow: Flow) -> tuple[str, str, str]:
    cpu = f"{flow.cpu_us:.0f}" if flow.cpu_us else "–"
    return f"{flow.p50_ms:.2f} / {flow.p99_ms:.2f}", cpu, f"{flow.per_second:,.0f}"
