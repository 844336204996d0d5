"""Wrong passwords make an account wait, ever longer, whoever asks; nothing but the right one or time ends it."""

import itertools

from remit.persons.lockout import FORGET_SECONDS, FREE, MAX_ACCOUNTS, MOST_SECONDS, Lockout

ADA, BOB = 1001, 1002


def guessed(lockout: Lockout, uid: int, tries: int, now: float = 0.0) -> list[float]:
    """The waits after each of so many wrong ones, each as soon as it is looked at."""
    waits = []
    for _ in range(tries):
        now += lockout.wait(uid, now)
        waits.append(lockout.wrong(uid, now))
    return waits


def test_mistyping_costs_nothing_and_twenty_wrong_ones_much() -> None:
    waits = guessed(Lockout(), ADA, 20)
    assert waits[: FREE - 1] == [0.0] * (FREE - 1)
    assert waits[FREE - 1 : FREE + 8] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
    assert set(waits[FREE + 8 :]) == {MOST_SECONDS}


def test_others_do_not_wait_with_them() -> None:
    lockout = Lockout()
    guessed(lockout, ADA, 10)
    assert lockout.wait(BOB, 0.0) == 0.0


def test_the_right_one_ends_it() -> None:
    lockout = Lockout()
    guessed(lockout, ADA, 10)
    lockout.right(ADA)
    assert guessed(lockout, ADA, 2) == [0.0, 0.0]


def test_time_makes_up_for_wrong_ones_slowly() -> None:
    lockout = Lockout()
    for _ in range(6):
        lockout.wrong(ADA, 0.0)
    assert lockout.wait(ADA, 16.0) == 0.0
    assert lockout.wrong(ADA, 2 * FORGET_SECONDS) == 8.0, "the fifth, as two are made up for"
    assert lockout.wrong(BOB, 0.0) == 0.0


def test_waiting_never_pays() -> None:
    """However a guesser spaces their guesses, they get no more than about four an hour for long."""
    for pause in (0.0, 60.0, MOST_SECONDS, FORGET_SECONDS):
        lockout, now, guesses = Lockout(), 0.0, 0
        while now < 86_400.0:
            guesses += 1
            now += max(lockout.wrong(ADA, now), pause, 0.001)
        assert guesses <= 110, pause


def test_its_memory_is_bounded_and_filling_it_frees_nobody() -> None:
    lockout = Lockout()
    guessed(lockout, ADA, 12)
    for uid in itertools.islice(itertools.count(10_000), MAX_ACCOUNTS + 50):
        lockout.wrong(uid, 4000.0)
    assert lockout.wrong(ADA, 4000.0) >= 512.0, "it is still known"
    assert lockout.wait(5, 4000.0) > 0, "who isn't known waits while there is no room"
    assert lockout.wait(5, 4000.0 + 13 * FORGET_SECONDS) == 0.0, "until what was kept is made up for"
