"""A hostile program with its owner's uid, let loose on Remit: what it gets done is what docs/attacks.md says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.attacked import Attacked, Outcome, attacked, tries
from tests.system.attacks_page import PAGE, listed, succeeds, tables, told, written
from tests.system.hostile.kit import TRIES, Try
from tests.system.machine import can_make_machines
from tests.system.modes import Bare, Mode
from tests.system.sudo import has_sudo
from tests.system.system_mode import SystemMode
from tests.system.user_mode import UserMode

needs_machines = pytest.mark.skipif(not can_make_machines(), reason="machines of their own are made by root only")
WRITE = "REMIT_WRITE_ATTACKS"  # set: docs/attacks.md is written, not compared
Outcomes = dict[str, Outcome]

# Some of each family, those that take no wait.
QUICK = (
    *("read-log-key", "read-memory", "ptrace", "raw-socket", "connect-and-exec", "take-control", "take-localhost"),
    *("link-state", "approve-pty", "approve-api", "forged-answer", "edit-policy", "inject-pth", "delete-log"),
    *("stop-process", "kill"),
)
# Nothing here for them to succeed with: a service manager that runs; without the package, sudo.
NOT_SEEN_TO_SUCCEED = {"service-manager"} | (set() if has_sudo() else {"sudo-cache"})


def came_of(on: Attacked, those: list[Try]) -> Outcomes:
    return {one.name: on.make(one) for one in those}


def full(place: Path, mode: type[Mode], as_whom: str = "unenrolled") -> Outcomes:
    """Every try: on one machine whose server Remit started, and on one whose server it found."""
    made: Outcomes = {}
    for found in (False, True):
        at = place / str(found)
        at.mkdir(parents=True)
        with attacked(at, mode(found=found), as_whom) as on:
            made |= came_of(on, tries(found))
    return made


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return full(tmp_path_factory.mktemp("user"), UserMode)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return full(tmp_path_factory.mktemp("system"), SystemMode)


def succeeded(outcomes: Outcomes) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome.succeeded}


def by_design() -> set[str]:
    return {one.name for one in TRIES.values() if one.family == "limits"}


def test_the_page_has_every_try_with_what_stops_it() -> None:
    assert list(told()) == [one.name for one in sorted(TRIES.values(), key=lambda one: one.family == "limits")]
    for one in TRIES.values():
        assert listed(one) == (one.sentence, one.stops)


def test_by_the_page_nothing_succeeds_in_system_mode_but_its_stated_limits() -> None:
    assert succeeds(2) <= by_design()


@pytest.fixture(scope="module")
def on_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("machine"), SystemMode()) as on:
        yield on


@needs_machines
@pytest.mark.parametrize("name", QUICK)
def test_a_part_of_the_tries_fails_in_system_mode(on_system: Attacked, name: str) -> None:
    outcome = on_system.make(TRIES[name])
    assert not outcome.succeeded, outcome


@needs_machines
def test_a_program_that_nobody_registered_gets_the_svid_of_its_person_and_no_other(on_system: Attacked) -> None:
    assert on_system.make(TRIES["own-svid"]).evidence == "it has the identity user/ada"
    assert not on_system.make(TRIES["gateway-svid"]).succeeded


@needs_machines
@pytest.mark.long
def test_in_system_mode_none_succeeds(system: Outcomes) -> None:
    assert succeeded(system) - by_design() == set(), system


@needs_machines
@pytest.mark.long
def test_in_system_mode_none_succeeds_from_under_a_registered_workload(tmp_path: Path) -> None:
    made = full(tmp_path, SystemMode, "enrolled")
    assert succeeded(made) - by_design() == set(), made


@needs_machines
@pytest.mark.long
def test_each_try_is_seen_to_succeed_somewhere(user: Outcomes, tmp_path: Path) -> None:
    rest = [one for one in tries() if not user[one.name].succeeded and one.name not in NOT_SEEN_TO_SUCCEED]
    with attacked(tmp_path, Bare()) as on:
        made = came_of(on, rest)
    assert {name for name, outcome in made.items() if not outcome.succeeded} == set(), made


@needs_machines
@pytest.mark.long
def test_the_page_says_what_succeeds(user: Outcomes, system: Outcomes) -> None:
    if os.environ.get(WRITE):
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), tables(user, system)), encoding="utf-8")
    assert (succeeded(user), succeeded(system)) == (succeeds(1), succeeds(2))
