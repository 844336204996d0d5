"""Whose instance this is: the human who ran the command, or the one named; nobody else."""

import os
import pwd

import pytest

from remit.control.owner import find_owner
from remit.errors import IdentityError, UsageError

ME = pwd.getpwuid(os.getuid())


def test_a_logged_in_person_owns_it() -> None:
    owner = find_owner(None, ME.pw_uid, {})
    assert (owner.name, owner.uids) == (ME.pw_name, (ME.pw_uid,))


def test_nobody_logged_in_and_nobody_named_is_refused() -> None:
    with pytest.raises(IdentityError) as caught:
        find_owner(None, None, {})
    assert "--owner" in caught.value.hint


def test_a_named_account_answers_for_its_own_uid() -> None:
    assert find_owner(ME.pw_name, None, {}).uids == (ME.pw_uid,)


def test_a_named_person_without_an_account_is_answered_for_by_who_runs_this() -> None:
    owner = find_owner("ada.lovelace", None, {})
    assert (owner.name, owner.uids) == ("ada.lovelace", (os.getuid(),))


@pytest.mark.parametrize("name", ["", "ada lovelace", "../ada", "ada/x", "ad\nmin", "ädä"])
def test_a_name_that_can_t_stand_in_an_id_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="can't be an owner's name"):
        find_owner(name, None, {})
