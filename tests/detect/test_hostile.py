"""Hostile text costs what its length is worth: work is counted in calls, never in time."""

import sys
from collections.abc import Callable
from functools import cache, partial
from types import FrameType

import pytest

from remit.detect import Detector, Found, Rule, TextStream, load_rules
from remit.detect.matcher import FLOOD

SIZE = 4096  # characters; many blocks, many times what any stream holds back
PIECE = 20
UNITS = [
    *("SWMKEY-1-", "secret=a1a1a1a1", "secret_token_key", "key-key1111-", "pw", "pwd=abcdef ", "password=abc12345; "),
    *("AWS_SECRET_ACCESS_KEY=", "A", "eyJ-", "://a:", "-----BEGIN ", "-----BEGIN " + "PRIVATE KEY-----a", "=" * 40),
]


@cache
def detector() -> Detector:
    return Detector()


def calls(act: Callable[[], object]) -> int:
    """How many calls, of Python's functions and C's, `act` makes."""
    made = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return made


def filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def scanned(unit: str, size: int) -> int:
    text = filled(unit, size)
    detector().scan(text)  # compiles what is compiled on first use
    return calls(lambda: detector().scan(text))


@pytest.mark.parametrize("unit", UNITS)
def test_twice_the_text_is_at_most_twice_the_work(unit: str) -> None:
    assert scanned(unit, 4 * SIZE) < 4.4 * scanned(unit, SIZE) + 200


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.id)
def test_nothing_made_of_a_rules_own_beginnings_is_looked_at_many_times(rule: Rule) -> None:
    for unit in (rule.anchors[0], f"{rule.anchors[0]}=", f"{rule.anchors[-1]}: ", rule.examples[0][:-2] + " "):
        assert scanned(unit, SIZE) < 5 * SIZE, unit


def fed(stream: TextStream, text: str) -> list[int]:
    return [calls(partial(stream.feed, text[at : at + PIECE])) for at in range(0, len(text), PIECE)]


@pytest.mark.parametrize("unit", UNITS)
def test_no_piece_of_a_stream_costs_more_for_what_came_long_before_it(unit: str) -> None:
    fed(detector().stream(), filled(unit, SIZE))
    work = fed(detector().stream(), filled(unit, 4 * SIZE))
    assert max(work[-SIZE // PIECE :]) <= 1.2 * max(work[: SIZE // PIECE])
    assert max(work) < 200 * PIECE


def test_one_large_piece_costs_no_more_than_small_ones() -> None:
    text = filled("password=abc12345; ", 8 * SIZE)
    small = sum(fed(detector().stream(), text))
    assert calls(lambda: detector().stream().feed(text)) < small


def test_openings_inside_one_another_are_masked_rather_than_gone_through() -> None:
    (whole,) = detector().scan("key-" * 1000 + "1111")
    assert whole.end == 4004
    assert not detector().scan("see key-key-key-value")


def test_a_flood_of_secrets_is_masked_to_its_end() -> None:
    text = "pw:abcde1 " * (FLOOD + 100) + "and so on"
    found = detector().scan(text)
    assert len(found) == FLOOD + 1
    assert found[-1].end == len(text)
    stream = detector().stream()
    pieces = [piece for at in range(0, len(text), 700) for piece in stream.feed(text[at : at + 700])] + stream.close()
    assert [one.length for one in pieces if isinstance(one, Found)] == [one.end - one.start for one in found]
    assert scanned("pw:abcde1 ", 40 * FLOOD) < 2 * scanned("pw:abcde1 ", 10 * FLOOD)
