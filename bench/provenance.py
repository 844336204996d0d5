"""Figures for provenance: a call's arguments over a transcript of 1 MB, memory, hearing; beside plain `in`."""

import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

from bench.report import Part, Row, Table
from remit.flow import ArgumentClass, Flow, Origin
from remit.flow.normal import loose, spaced
from remit.flow.transcript import LIMITS

SIZE: Final = 1_000_000
MESSAGE: Final = 20_000
LIMIT_MS: Final = 1.0
LIMIT_BYTES: Final = 10_000_000
CLASSES: Final = {
    "/to": ArgumentClass.RECIPIENT,
    "/cc": ArgumentClass.RECIPIENT,
    "/url": ArgumentClass.URL,
    "/iban": ArgumentClass.ACCOUNT,
    "/path": ArgumentClass.PATH,
    "/amount": ArgumentClass.AMOUNT,
    "/subject": ArgumentClass.TEXT,
}
CALLS: Final = {
    "heard, from outside": {
        "to": ["person17@example.org", "person4001@example.org"],
        "cc": "Person 55",
        "url": "https://site23.example/page/23",
        "iban": "GB29NWBK60161331926819",
        "path": "/srv/data/77/notes.txt",
        "amount": 120.5,
        "subject": "the quarterly report of",
    },
    "heard nowhere": {
        "to": ["nobody@evil.example", "another@evil.example"],
        "cc": "Eve Adams",
        "url": "https://evil.example/page",
        "iban": "US133000000121212121212",
        "path": "/etc/shadow",
        "amount": 98765.43,
        "subject": "give me all your words",
    },
}


def run(quick: bool) -> Part:
    messages = _transcript()
    flow, seconds, peak = _heard(messages)
    rounds = 200 if quick else 2_000
    plain = [spaced(loose(text)) for text, _ in messages]
    lines = []
    worst = 0.0
    for name, call in CALLS.items():
        ours = _timed(lambda call=call: flow.arguments(call, CLASSES), rounds)  # type: ignore[misc]
        needles = [str(one.value.text) for one in flow.arguments(call, CLASSES)]
        peer = _timed(lambda needles=needles: [_plainly(plain, one) for one in needles], max(5, rounds // 40))  # type: ignore[misc]
        worst = max(worst, ours[1])
        lines.append((f"a call of {len(needles)} values, {name}", *(f"{one * 1e3:.3f} ms" for one in (*ours, *peer))))
    hostile = _hostile()
    lines.append(("a value made of the words of hostile text", *(f"{one * 1e3:.3f} ms" for one in hostile)))
    full, filled = _flooded()
    row = Row(
        "provenance of a call's arguments over 1 MB of transcript, p99; memory of a task",
        "≤ 1 ms, ≤ 10 MB",
        f"{worst * 1e3:.2f} ms, {full / 1e6:.1f} MB when every shelf is full",
        worst * 1e3 <= LIMIT_MS and full <= LIMIT_BYTES,
        f"plain `in` over normalised text: {lines[-2][3]}",
    )
    notes = (
        f"Milliseconds of CPU. Hearing 1 MB takes {seconds * 1e3:.0f} ms ({SIZE / seconds / 1e6:.1f} MB/s) and keeps "
        f"{peak / 1e6:.1f} MB; a task flooded with {filled / 1e6:.0f} MB keeps {full / 1e6:.1f} MB. "
        "Plain `in` answers less: it takes a part of a word, an address or a URL for the whole."
    )
    head = ("over 1 MB", "p50", "p99", "plain `in`, p50", "p99")
    return Part("provenance", (row,), (Table(head, tuple(lines)),), notes)


def _transcript() -> list[tuple[str, Origin]]:
    """50 messages: prose, with addresses, links, accounts, paths and numbers in it."""
    chance = random.Random(5)
    words = [f"w{chance.randrange(30_000)}" for _ in range(SIZE // 6)]
    messages, at = [], 0
    for number in range(SIZE // MESSAGE):
        text, size = [], 0
        while size < MESSAGE:
            text.append(_piece(chance, words[at % len(words)]))
            size, at = size + len(text[-1]) + 1, at + 1
        messages.append((" ".join(text), Origin.HUMAN if number == 0 else Origin.UNTRUSTED))
    messages[7] = (messages[7][0] + " the quarterly report of GB29 NWBK 6016 1331 9268 19", Origin.UNTRUSTED)
    return messages


def _piece(chance: random.Random, word: str) -> str:
    number = chance.randrange(5_000)
    return {
        0: f"person{number}@example.org",
        1: f"Person {number % 99}",
        2: f"https://site{number % 99}.example/page/{number % 99}",
        3: f"/srv/data/{number % 99}/notes.txt",
        4: f"{number % 200}.50",
    }.get(chance.randrange(60), word)


def _heard(messages: list[tuple[str, Origin]]) -> tuple[Flow, float, int]:
    tracemalloc.start()
    flow = Flow()
    for text, origin in messages:
        flow.heard(text, origin)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    again, begun = Flow(), time.process_time()
    for text, origin in messages:
        again.heard(text, origin)
    return flow, time.process_time() - begun, kept


def _flooded() -> tuple[int, int]:
    """Bytes kept when each origin was given four times what it may keep, all different; bytes given."""
    tracemalloc.start()
    flow, given = Flow(), 0
    for origin, limit in LIMITS.items():
        for number in range(limit * 4 // 400_000):
            text = " ".join(f"{origin}{number}x{word}@e.example" for word in range(14_000))
            flow.heard(text, origin)
            given += len(text)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, given


def _hostile() -> tuple[float, float, float, float]:
    """1 MB of `a b a b …`, asked for `a b a b … a a`: every word and pair is there, the phrase never is."""
    flow = Flow()
    text = "a a b " * (SIZE // 6)
    flow.heard(text, Origin.UNTRUSTED)
    needle = "a a b " * 20 + "a b"
    ours = _timed(lambda: flow.transcript.origins(needle, ArgumentClass.TEXT), 20)
    peer = _timed(lambda: _plainly([text], needle), 20)
    return *ours, *peer


def _plainly(texts: list[str], needle: str) -> bool:
    wanted = spaced(loose(needle))
    return any(wanted in text for text in texts)


def _timed(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        took.append(time.process_time() - begun)
    return statistics.median(took), statistics.quantiles(took, n=100)[98]
