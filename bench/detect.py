"""Figures for the detector: MB/s on large clean text, µs a clean 1 kB text, µs a clean streamed piece; hostile texts.

Run: python -m bench.detect
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from remit.detect import Detector, KnownValues, load_rules

PROSE = (
    "The guard reads each answer as it comes, one chunk after another, and lets it pass when nothing in it "
    "looks like something that should stay. Most text is like this: plain words, some numbers (42, 3.14, "
    "2026-11-21), a path such as /usr/lib/python3/dist-packages, a call like `open(name).read()`, an address "
    "http://example.com/a?b=c, and the odd word in CAPITALS. It has to cost next to nothing, since nearly "
    "everything that is ever said is of this kind. "
)
ROUNDS = 7


def clean(size: int) -> str:
    return (PROSE * (size // len(PROSE) + 1))[:size]


def per_call(call: Callable[[], object], count: int) -> float:
    """Median seconds a call over ROUNDS rounds of `count`."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(count):
            call()
        took.append((time.perf_counter() - begun) / count)
    return statistics.median(took)


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def streamed(detector: Detector, known: KnownValues, size: int) -> float:
    """Median seconds a piece of `size` characters of clean text."""
    parts = pieces(clean(20_000), size)
    took = []
    for _ in range(ROUNDS):
        stream = detector.stream(known=known)
        begun = time.perf_counter()
        for part in parts:
            stream.feed(part)
        took.append((time.perf_counter() - begun) / len(parts))
        stream.close()
    return statistics.median(took)


def hostile(detector: Detector) -> list[tuple[float, str]]:
    """Seconds for 1 MB made of each rule's anchors, with one real match at the end so that the filter lets it by."""
    took = []
    for rule in detector.rules:
        for joint in ("", "-", " ", "_"):
            text = (rule.anchors[0] + joint) * (1_000_000 // len(rule.anchors[0] + joint)) + " \n" + rule.examples[0]
            begun = time.perf_counter()
            detector.scan(text)
            took.append((time.perf_counter() - begun, f"{rule.id} joined by {joint!r}"))
    return sorted(took, reverse=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        load_rules()
        print(f"rules read            {(time.perf_counter() - begun) * 1e3:8.1f} ms")
        for word in ("built", "loaded"):
            begun = time.perf_counter()
            detector = Detector(cache=Path(directory))
            print(
                f"detector {word:<12} {(time.perf_counter() - begun) * 1e3:8.1f} ms   ({len(detector.rules)} rules)"
            )
    held = KnownValues(f"a-held-value-number-{number:04}".encode() for number in range(20))
    large, small = clean(4_000_000), clean(1000)
    print(f"large clean text      {len(large) / per_call(lambda: detector.scan(large), 3) / 1e6:8.1f} MB/s")
    print(f"1 kB clean text       {per_call(lambda: detector.scan(small), 2000) * 1e6:8.2f} µs")
    print(f"  with 20 held values {per_call(lambda: detector.scan(small, known=held), 2000) * 1e6:8.2f} µs")
    for size in (5, 10, 20):
        print(f"streamed piece of {size:2}  {streamed(detector, KnownValues(), size) * 1e6:8.2f} µs")
        print(f"  with 20 held values {streamed(detector, held, size) * 1e6:8.2f} µs")
    worst = hostile(detector)[:5] if "--hostile" in sys.argv else []
    for seconds, name in worst:
        print(f"hostile 1 MB          {seconds * 1e3:8.1f} ms   {name}")


if __name__ == "__main__":
    main()
