"""A nonce is good once, for one uid, for ten minutes."""

import pytest

from remit.control.nonces import LIFE, MAX_OF_ALL, MAX_OF_ONE_UID, Nonces
from remit.errors import IdentityError

NOW = 1_790_000_000.0
ADA, BOB = 1000, 1001


def refused(nonces: Nonces, nonce: str, uid: int = ADA, now: float = NOW) -> bool:
    try:
        nonces.spend(nonce, uid, now)
    except IdentityError:
        return True
    return False


def test_it_is_spent_once() -> None:
    nonces = Nonces()
    nonce = nonces.issue(ADA, NOW)
    assert len(nonce) == 32
    assert not refused(nonces, nonce)
    assert refused(nonces, nonce)
    assert refused(nonces, "")


def test_it_is_for_the_uid_that_asked() -> None:
    nonces = Nonces()
    nonce = nonces.issue(ADA, NOW)
    assert refused(nonces, nonce, BOB)
    assert not refused(nonces, nonce)  # Bob's try took nothing from her


def test_it_ends() -> None:
    nonces = Nonces()
    first, second = nonces.issue(ADA, NOW), nonces.issue(ADA, NOW)
    assert not refused(nonces, first, now=NOW + LIFE - 1)
    assert refused(nonces, second, now=NOW + LIFE)
    assert refused(nonces, second)  # also when the clock is set back then


def test_a_clock_that_is_set_back_ends_it() -> None:
    nonces = Nonces()
    assert refused(nonces, nonces.issue(ADA, NOW), now=NOW - 1)


def test_one_uid_has_few_and_takes_none_from_another() -> None:
    nonces = Nonces()
    hers = nonces.issue(ADA, NOW)
    his = [nonces.issue(BOB, NOW) for _ in range(MAX_OF_ONE_UID + 1)]
    assert [refused(nonces, nonce, BOB) for nonce in his] == [True] + [False] * MAX_OF_ONE_UID
    assert not refused(nonces, hers)


def test_all_have_a_bound() -> None:
    nonces = Nonces()
    for number in range(MAX_OF_ALL):
        nonces.issue(number, NOW)
    with pytest.raises(IdentityError, match="too many logins"):
        nonces.issue(MAX_OF_ALL, NOW)
    assert nonces.issue(MAX_OF_ALL, NOW + LIFE)
