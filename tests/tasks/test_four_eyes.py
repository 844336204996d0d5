"""Who asks does not approve: not by another name, account or hands, and alone only as self-confirmed."""

import pytest

from remit.errors import UsageError
from remit.tasks.approval_request import ApprovalError
from remit.tasks.four_eyes import Answerer, Hands, Rules, anyone, check_self_confirmed, level, same

ASKS = anyone(["ada", ""], [1000, 1010])
BECAUSE = "`ada` asked for it"
ALONE = Rules(single_operator=True, alone=True, pause=10.0)


def hands(name: str, *uids: int, beneath: tuple[int, ...] = ()) -> Hands:
    return Hands(frozenset({name}), frozenset(uids), frozenset(beneath))


@pytest.mark.parametrize(
    "answers",
    [
        hands("ada", 1000),
        hands("ada", 2000),
        hands("ada2", 1000),
        hands("ada2", 1010),
        hands("root", 0, 1000),
        hands("root", 0, beneath=(0, 1000)),
    ],
    ids=["themselves", "by name", "two names of a uid", "another account", "by login", "through sudo"],
)
def test_who_asks_is_known_by_whatever_hand_answers(answers: Hands) -> None:
    assert same(answers, ASKS)


@pytest.mark.parametrize("answers", [hands("bob", 1001), hands("bob", 1001, beneath=(0, 1001)), hands("root", 0)])
def test_another_person_is_another(answers: Hands) -> None:
    assert same(answers, ASKS) == ""


def test_that_everything_runs_beneath_root_makes_nobody_root() -> None:
    by_root = anyone(["root"], [0])
    assert same(hands("bob", 1001, beneath=(0, 1001)), by_root) == ""
    assert same(hands("bob", 1001, 0), by_root)


def test_whom_it_takes() -> None:
    stranger, owner = Answerer(hands("bob", 1), False, False), Answerer(hands("bob", 1), True, False)
    approver = Answerer(hands("bob", 1), False, True)
    assert (level(owner, "owner"), level(approver, "owner"), level(approver, "approver")) == (
        "owner",
        "approver",
        "approver",
    )
    for answers, needed in ((stranger, "owner"), (stranger, "approver"), (owner, "approver")):
        with pytest.raises(ApprovalError):
            level(answers, needed)


def test_alone_after_a_pause_and_with_a_reason_they_confirm_it_themselves() -> None:
    check_self_confirmed(BECAUSE, "owner", 10.0, "the invoice is due today", ALONE)


@pytest.mark.parametrize(
    ("needed", "waited", "rules"),
    [
        ("approver", 60.0, ALONE),
        ("owner", 9.9, ALONE),
        ("owner", 60.0, Rules(single_operator=False, alone=True)),
        ("owner", 60.0, Rules(single_operator=True, alone=False)),
    ],
    ids=["it takes another person", "too soon", "not set", "others are here"],
)
def test_else_they_don_t(needed: str, waited: float, rules: Rules) -> None:
    with pytest.raises(ApprovalError, match="`ada` asked for it"):
        check_self_confirmed(BECAUSE, needed, waited, "the invoice is due today", rules)


@pytest.mark.parametrize("reason", ["", "because", "          ", "x" * 201, "two\nlines of it"])
def test_a_reason_is_a_sentence(reason: str) -> None:
    with pytest.raises(UsageError):
        check_self_confirmed(BECAUSE, "owner", 60.0, reason, ALONE)
