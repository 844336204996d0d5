"""On what terms a task begins and goes on: its profile's at most, and 7 days."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import RemitError, UsageError
from remit.identity import SpiffeId
from remit.tasks import Budget, Narrowing, Task, ToolGrant, WiderError
from remit.tasks.profile import MAX_SECONDS, of, profiles, starters
from remit.tasks.terms import extended, terms
from remit.tasks.tool_part import ToolPart

MAIL = profiles(starters().items())["mail-assistant"]
NOW = 1_000.0
LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama")
ASSISTING = Task(
    "t-1", "ada", LLAMA, MAIL.reach.actions, "", NOW - 60, NOW + 600, "00", "terminal",
    profile=MAIL.name, tools=MAIL.reach.tools, ceiling=MAIL.reach.ceiling, destinations=MAIL.reach.destinations,
    budget=Budget(100, 1_000, 1_000), present=True,
)  # fmt: skip
TIMED = replace(MAIL.reach.budget, seconds=60)


def test_a_profile_says_what_is_not_said() -> None:
    made = terms(Narrowing(), None, "", MAIL)
    assert (made.reach, made.seconds, made.purpose, made.profile) == (MAIL.reach, 1800, MAIL.purpose, MAIL.name)
    mine = terms(Narrowing(tools=(ToolPart("mail/send"),)), 60, "answer bob", MAIL)
    assert ([one.tool for one in mine.reach.tools], mine.seconds, mine.purpose) == (["mail/send"], 60, "answer bob")
    brief = replace(MAIL, seconds=600)
    assert terms(Narrowing(), None, "", brief).seconds == 600


def test_a_task_lasts_no_longer_than_its_profile_says() -> None:
    assert terms(Narrowing(), MAIL.seconds, "", MAIL).seconds == MAIL.seconds
    with pytest.raises(WiderError, match="lasts 2h at most"):
        terms(Narrowing(), MAIL.seconds + 1, "", MAIL)
    for never in (0, -1, MAX_SECONDS + 1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="at most 7 days"):
            terms(Narrowing(actions=("infer",)), never, "", None)


def test_tools_take_the_action_that_calls_them() -> None:
    with pytest.raises(UsageError, match="may not call any"):
        terms(Narrowing(actions=("infer",), tools=(ToolPart("git/log"),)), 60, "", None)
    assert terms(Narrowing(actions=("infer",)), 60, "", MAIL).reach.tools == MAIL.reach.tools


@given(
    st.none() | st.floats(-10, 2 * MAX_SECONDS),
    st.builds(Budget, *(st.none() | st.sampled_from([50, 100, 400, 600]) for _ in range(3))),
    st.floats(0, MAX_SECONDS),
    st.booleans(),
)
def test_no_extension_makes_it_shorter_or_more_than_its_profile(
    seconds: float | None, budget: Budget, later: float, of_a_profile: bool
) -> None:
    profile = MAIL if of_a_profile else None
    try:
        more = extended(ASSISTING, seconds, budget, profile, NOW + later)
    except RemitError:
        return
    assert more.expires >= ASSISTING.expires
    assert more.expires - more.started <= (MAIL.seconds if of_a_profile else MAX_SECONDS)
    assert not ASSISTING.budget.over(more.budget)
    assert replace(more, expires=0, budget=Budget()) == replace(ASSISTING, expires=0, budget=Budget())
    if of_a_profile:
        assert not more.budget.over(MAIL.reach.budget)


@pytest.mark.parametrize(
    ("seconds", "budget", "profile", "told"),
    [
        (600, Budget(), None, "lasts longer than that already"),
        (MAX_SECONDS - 59, Budget(), None, "at most 7 days"),
        (MAIL.seconds, Budget(), MAIL, "lasts 2h at most"),
        (None, Budget(calls=99), None, "`calls` is 100 already"),
        (None, Budget(seconds=9), None, "`seconds` has no limit"),
        (None, Budget(calls=501), MAIL, "`calls` is 501, and the profile `mail-assistant` has 500"),
        (None, Budget(calls=200), replace(MAIL, reach=replace(MAIL.reach, tools=())), "more than the profile"),
        (
            None,
            Budget(calls=200),
            replace(MAIL, reach=replace(MAIL.reach, budget=TIMED)),
            "`seconds` has no limit in t",
        ),
    ],
)
def test_why_it_is_not_extended(seconds: float | None, budget: Budget, profile: object, told: str) -> None:
    with pytest.raises(RemitError, match=told):
        extended(ASSISTING, seconds, budget, profile, NOW)  # type: ignore[arg-type]


def test_a_part_is_not_extended() -> None:
    with pytest.raises(UsageError, match="is a part of `t-0`"):
        extended(replace(ASSISTING, parent="t-0"), 3_600, Budget(), None, NOW)


def test_the_whole_profile_is_a_part_of_itself() -> None:
    assert of(MAIL, Narrowing(tools=(ToolGrant("mail/read_thread"), ToolPart("mail/draft")))).tools
