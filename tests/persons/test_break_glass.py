"""One opening: how long it holds by two clocks, what may be asked, and who may review it."""

from dataclasses import replace

import pytest

from remit.errors import UsageError
from remit.persons.break_glass import (
    BreakGlassError,
    Moment,
    Opening,
    Review,
    check_asked,
    check_none_open,
    reviewed,
    wait_after,
)

OPENED = Opening(
    id="bg-1",
    person="ada",
    uid=1000,
    proof="recovery-code",
    reason="the policies lock everybody out",
    opened=1000.0,
    until=1600.0,
    steady=50.0,
    boot="b",
    through="control",
)


def after(seconds: float, *, by_wall: float | None = None, boot: str = "b") -> Moment:
    return Moment(1000.0 + (seconds if by_wall is None else by_wall), 50.0 + seconds, boot)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (after(0), 600.0),
        (after(599), 1.0),
        (after(600), 0.0),
        (after(700, by_wall=-9000), 0.0),  # set back: the other clock ends it
        (after(100, by_wall=-9000), 500.0),  # and prolongs nothing
        (after(100, by_wall=9000), 0.0),  # set forward
        (after(10, boot="another"), 0.0),  # a machine that was started anew
    ],
)
def test_it_ends_by_whichever_clock_is_first(at: Moment, left: float) -> None:
    assert OPENED.left(at) == left


def test_closed_is_closed() -> None:
    assert replace(OPENED, closed=1001.0).left(after(1)) == 0.0


def test_it_is_due_for_review_and_then_overdue() -> None:
    assert OPENED.standing(after(1)) == "open"
    assert OPENED.standing(after(601)) == "review due"
    assert OPENED.standing(after(86401)) == "review overdue"
    assert replace(OPENED, review=Review("bob", 1.0, "it was right so", False)).standing(after(601)) == "reviewed"
    assert replace(OPENED, review=Review("ada", 1.0, "it was right so", True)).standing(after(601)) == "self-reviewed"


@pytest.mark.parametrize(
    "reason", ["", "   ", "broken", "two\nlines of a reason", "\x1b[2J policies broken", "x" * 201]
)
def test_a_reason_says_something_in_one_line(reason: str) -> None:
    with pytest.raises(UsageError):
        check_asked(reason, 60.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1801.0, float("nan")])
def test_it_opens_for_half_an_hour_at_most(seconds: float) -> None:
    with pytest.raises(UsageError, match="30 minutes"):
        check_asked("the policies are broken", seconds)


def test_a_second_opening_is_refused_until_the_first_is_over() -> None:
    with pytest.raises(BreakGlassError, match="open already, by ada until"):
        check_none_open([OPENED], after(1))
    check_none_open([OPENED], after(601))


def test_what_every_reply_says_is_safe_in_a_header() -> None:
    said = replace(OPENED, reason="Löcher\r\nset-cookie: x").said()
    assert said.startswith("ada until ")
    assert all(" " <= letter <= "~" for letter in said)


def test_another_person_reviews() -> None:
    review = reviewed(OPENED, "bob", "looked at all of it", after(700), alone=False)
    assert (review.by, review.self_reviewed) == ("bob", False)
    with pytest.raises(BreakGlassError, match="another person"):
        reviewed(OPENED, "ada", "looked at all of it", after(700), alone=False)
    with pytest.raises(BreakGlassError, match="still open"):
        reviewed(OPENED, "bob", "looked at all of it", after(7), alone=False)
    with pytest.raises(UsageError):
        reviewed(OPENED, "bob", "ok", after(700), alone=False)


def test_on_a_machine_of_one_person_it_is_never_more_than_self_reviewed() -> None:
    own = reviewed(OPENED, "ada", "looked at all of it", after(700), alone=True)
    assert own.self_reviewed
    again = replace(OPENED, review=own)
    with pytest.raises(BreakGlassError, match="already"):
        reviewed(again, "ada", "looked at all of it", after(700), alone=True)
    assert not reviewed(again, "bob", "looked at all of it", after(700), alone=False).self_reviewed


def test_answers_to_wrong_codes_are_held_back_longer_and_longer_up_to_a_limit() -> None:
    waits = [wait_after(wrong) for wrong in range(2000)]
    assert waits[:4] == [0.0, 1.0, 2.0, 4.0]
    assert waits == sorted(waits)
    assert max(waits) == 20.0
