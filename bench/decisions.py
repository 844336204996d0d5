"""Decisions by policies and entities (bench/decide.py), held against their targets."""

import statistics

from bench.decide import HEAD, SIZES
from bench.printed import cells, number, output
from bench.report import Part, Row, Table

SLICED_US, CACHED_US, GROWTH = 100, 5, 1.5
P50, CACHED, STRINGS = (HEAD.index(name) for name in ("p50", "cached p50", "from strings"))
NOTES = (
    "In µs, but for the loading; medians of three runs. Sliced: each call another model's, so that none is in the "
    "cache; of agents that a policy of their own permits, and of a person who owns all servers. Refused: a stranger, "
    "with what is missing decided again. From strings: `cedarpy` as its front page shows it. CPU is its process's."
)


def run(quick: bool) -> Part:
    rounds = [cells(output("bench.decide", "--seconds", "0.2" if quick else "1.5")) for _ in range(3)]
    lines = [
        [statistics.median(number(each[at]) for each in same) for at in range(len(HEAD))]
        for same in zip(*rounds, strict=True)
    ]
    sliced, cached = ([line[at] for line in lines] for at in (P50, CACHED))
    few, many = (
        max(one for one, (policies, _) in zip(sliced, SIZES, strict=True) if policies == count)
        for count in (SIZES[0][0], SIZES[-1][0])
    )
    row = Row(
        "decision at 20 / 200 / 2,000 policies",
        "with 100 and with 10,000 entities: sliced ≤ 100 µs, growth 20 → 2,000 ≤ 1.5 ×, cached ≤ 5 µs",
        f"{min(sliced):.0f} to {max(sliced):.0f} µs, growth {many / few:.2f} ×, cached {max(cached):.1f} µs",
        max(sliced) <= SLICED_US and many / few <= GROWTH and max(cached) <= CACHED_US,
        f"`cedarpy` unsliced, from strings: {lines[0][STRINGS]:,.0f} to {lines[-1][STRINGS]:,.0f} µs",
    )
    shown = tuple(
        (f"{line[0]:,.0f}", f"{line[1]:,.0f}", *(f"{one:,.1f}" if one < 10 else f"{one:,.0f}" for one in line[2:]))
        for line in lines
    )
    return Part("decide", (row,), (Table(HEAD, shown),), NOTES)
