"""Roles that one person may not have together: refused by one name, and by two that are one person."""

from itertools import combinations

import pytest

from remit.config import RolesSettings, parse
from remit.config.role_pairs import FORBIDDEN, conflicts
from remit.errors import ConfigError

ROLES = ("administrator", "auditor", "deployer", "approver")
PAIRS = {frozenset((one, other)) for one, other, _ in FORBIDDEN}


@pytest.mark.parametrize(("one", "other"), list(combinations(ROLES, 2)))
def test_a_forbidden_pair_is_refused_when_the_file_is_read_and_others_are_not(one: str, other: str) -> None:
    text = f'[roles]\n{one} = ["ada", "bob"]\n{other} = ["carol", "ada"]\n'
    if frozenset((one, other)) not in PAIRS:
        parse(text.encode(), "c.toml")
        return
    with pytest.raises(ConfigError, match=r"`ada` is both `roles\.") as refused:
        parse(text.encode(), "c.toml")
    assert {one, other} <= set(str(refused.value).replace("`", " ").replace("roles.", " ").split())
    assert refused.value.hint.startswith("who ")


def test_two_names_with_an_account_in_common_are_one_person() -> None:
    roles = RolesSettings(administrator=("ada", "eve"), auditor=("carol",))
    accounts = {"ada": (1001,), "eve": (1005, 1006), "carol": (1003, 1006)}
    [found] = conflicts(roles, lambda name: accounts[name])
    said = "`eve` of `roles.administrator` and `carol` of `roles.auditor` are one person (uid 1006)"
    assert str(found) == said
    assert conflicts(roles, lambda _: ()) == ()


def test_who_may_agree_to_things_may_govern_the_instance() -> None:
    parse(b'[roles]\nadministrator = ["ada"]\napprover = ["ada"]\n', "c.toml")
