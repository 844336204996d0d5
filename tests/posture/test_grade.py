"""The grade: its whole truth table, and that unknown never counts as true."""

import itertools

import pytest

from remit.posture import Fact, grade
from remit.posture.grade import NEEDS, RAW_PORTS, SEPARATE_UID, WALLS

VALUES = (True, False, None)
FOR_B = NEEDS["B"]


def facts(values: dict[str, bool | None]) -> list[Fact]:
    return [Fact(name, holds, "seen", f"raise {name}") for name, holds in values.items()]


@pytest.mark.parametrize("walls", VALUES)
def test_the_truth_table(walls: bool | None) -> None:
    for values in itertools.product(VALUES, repeat=len(FOR_B)):
        letter = grade(facts({**dict(zip(FOR_B, values, strict=True)), WALLS: walls})).letter
        if any(value is not True for value in values):
            assert letter == "C"
        else:
            assert letter == ("A" if walls is True else "B")


def test_nothing_looked_at_is_c() -> None:
    lowest = grade([])
    assert lowest.letter == "C"
    assert {fact.word for fact in lowest.missing} == {"unknown"}
    assert lowest.header == "C; advisory"


def test_one_reachable_port_of_many_is_enough() -> None:
    good = facts(dict.fromkeys(FOR_B, True))
    assert grade(good).letter == "B"
    for order in ([*good, *facts({RAW_PORTS: False})], [*facts({RAW_PORTS: None}), *good]):
        assert grade(order).letter == "C"
        assert grade(order).raises == f"raise {RAW_PORTS}"


def test_it_says_why_and_what_comes_next() -> None:
    lowered = grade(facts({**dict.fromkeys(FOR_B, True), SEPARATE_UID: False}))
    assert lowered.why == "because `separate uid` is false"
    assert lowered.raises == "raise separate uid"
    highest = grade(facts({**dict.fromkeys(FOR_B, True), WALLS: True}))
    assert (highest.letter, highest.header, highest.raises) == ("A", "A", "")


def test_a_fact_tells_no_step_once_it_holds() -> None:
    assert Fact("x", True, "seen", "do").to_dict() == {"fact": "x", "is": "true", "evidence": "seen", "next_step": ""}
    assert Fact("x", None, "?", "do").to_dict() == {"fact": "x", "is": "unknown", "evidence": "?", "next_step": "do"}
