"""The first login binds; after that one account is one person, both ways."""

import dataclasses

import pytest

from remit.errors import IdentityError
from remit.identity.oidc_login import Login
from remit.inventory import Human
from remit.inventory.login_binding import bind

ISSUER = "https://login.maple.example"
ADA, BOB = Human("ada", "p-1", (1000,)), Human("bob", "p-2", (1001,))
BOUND = dataclasses.replace(ADA, login=(ISSUER, "24400320"))


def login(subject: str = "24400320", issuer: str = ISSUER) -> Login:
    return Login(issuer, subject, None)


def test_the_first_login_binds_and_the_same_one_is_taken_again() -> None:
    assert bind(ADA, login(), [ADA, BOB]) == BOUND
    assert bind(BOUND, login(), [BOUND, BOB]) == BOUND


@pytest.mark.parametrize("other", [login("24400321"), login(issuer="https://login.birch.example")])
def test_another_account_is_refused(other: Login) -> None:
    with pytest.raises(IdentityError, match="`ada` is bound to another login"):
        bind(BOUND, other, [BOUND, BOB])


def test_another_person_s_account_is_refused() -> None:
    with pytest.raises(IdentityError, match="is another person's login here, not `bob`'s"):
        bind(BOB, login(), [BOUND, BOB])


@pytest.mark.parametrize("human", [ADA, BOUND])
def test_it_is_kept_in_a_row(human: Human) -> None:
    assert Human.from_dict(human.to_dict()) == human


def test_a_row_from_before_there_were_logins_has_none() -> None:
    assert Human.from_dict({"name": "ada", "person": "p-1", "uids": [1000]}) == ADA
