"""Decisions at 20, 200 and 2,000 policies (bench/decide.py), held against their targets."""

import statistics

from bench.printed import cells, number, output
from bench.report import Part, Row, Table

SLICED_US, CACHED_US = 100, 5
HEAD = ("policies", "load + engine, ms", "sliced, µs", "cached, µs", "from strings, µs", "policies in the slice")


def run(quick: bool) -> Part:
    rounds = [cells(output("bench.decide", "--seconds", "0.3" if quick else "2")) for _ in range(3)]
    lines = [
        [statistics.median(number(each[at]) for each in same) for at in range(6)]
        for same in zip(*rounds, strict=True)
    ]
    sliced, cached, strings = ([line[at] for line in lines] for at in (2, 3, 4))
    row = Row(
        "decision at 20 / 200 / 2,000 policies",
        "≤ 100 µs each (sliced), cached ≤ 5 µs",
        f"{' / '.join(f'{each:.0f}' for each in sliced)} µs, cached {max(cached):.1f} µs",
        max(sliced) <= SLICED_US and max(cached) <= CACHED_US,
        f"`cedarpy` unsliced, from strings: {' / '.join(f'{each:,.0f}' for each in strings)} µs",
    )
    shown = tuple(
        (f"{a:,.0f}", f"{b:.0f}", f"{c:.0f}", f"{d:.1f}", f"{e:,.0f}", f"{f:.0f}") for a, b, c, d, e, f in lines
    )
    return Part("decide", (row,), (Table(HEAD, shown),), "Medians of single calls, then of three runs.")
