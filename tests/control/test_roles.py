"""Who may do what at the control API: each route has a rule, and each role what is theirs."""

import pytest

from remit.control.roles import ALL, RULES, NotAdmittedError, Reach, Role, Roles, Rule, check_route
from tests.faults.test_control_api import routes


def test_each_route_has_a_rule_and_each_rule_a_route() -> None:
    assert set(routes()) == set(RULES)


def test_a_route_without_a_rule_is_nobodys() -> None:
    with pytest.raises(NotAdmittedError, match="no rule says who"):
        check_route(Role.ADMINISTRATOR, "POST", "/everything")


@pytest.mark.parametrize("route", [route for route, rule in RULES.items() if rule is Rule.ADMINISTERS])
def test_the_whole_instance_is_for_administrators(route: tuple[str, str]) -> None:
    check_route(Role.ADMINISTRATOR, *route)
    for role in (Role.PERSON, Role.AUDITOR):
        with pytest.raises(NotAdmittedError, match="this takes an administrator"):
            check_route(role, *route)


@pytest.mark.parametrize(("method", "path"), [route for route in RULES if route[0] != "GET"])
def test_an_auditor_changes_nothing(method: str, path: str) -> None:
    with pytest.raises(NotAdmittedError):
        check_route(Role.AUDITOR, method, path)


def test_a_person_sees_and_governs_what_is_theirs() -> None:
    ada = Reach("ada", Role.PERSON, (1000,))
    assert ada.sees("ada")
    assert ada.governs("ada")
    assert not ada.sees("bob")
    assert not ada.governs("bob")
    assert not ada.sees("bob", 1000), "whose account it runs on does not matter once somebody owns it"
    assert ada.governs("", 1000), "what runs as them, and is nobody's, is theirs to own"
    assert not ada.sees("", 1001)
    assert not ada.sees("")


def test_an_auditor_sees_all_and_governs_nothing_also_of_their_own() -> None:
    carol = Reach("carol", Role.AUDITOR, (1002,))
    assert carol.sees("bob")
    assert not carol.governs("bob")
    assert not carol.governs("carol")


def test_administrators_and_root_govern_all() -> None:
    roles = Roles(frozenset({"ada"}), frozenset({"carol"}))
    assert roles.of("ada", 1000) is Role.ADMINISTRATOR
    assert roles.of("carol", 1002) is Role.AUDITOR
    assert roles.of("bob", 1001) is Role.PERSON
    assert roles.of("root", 0) is Role.ADMINISTRATOR
    assert ALL.sees("anybody")
