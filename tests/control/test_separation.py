"""Roles kept apart: who has two that don't go together has neither, however many names they go by."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from remit.config import RolesSettings, Settings
from remit.config.places import Places
from remit.control import separation
from remit.control.governance import Governance, governance_of
from remit.control.owner import Owner
from remit.control.people import HumanUids
from remit.control.roles import NotAdmittedError, Reach, Role, Roles
from remit.control.separation import Separation, mind
from remit.errors import ConfigError
from tests.control.test_realm import World

ADA, BOB = 1001, 1002
NAMED = RolesSettings(administrator=("ada",), auditor=("carol",), deployer=("bob",), approver=("dora",))


def governance(people: dict[str, tuple[int, ...]], named: RolesSettings = NAMED) -> Governance:
    roles = Roles(*(frozenset(one) for one in (named.administrator, named.auditor, named.deployer, named.approver)))
    return Governance(Owner("ada", (ADA,)), roles, people, 990, HumanUids(), Separation(named, people))


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.store.close()


def reach(world: World, here: Governance, uid: int) -> Reach:
    return asyncio.run(here.visitor(world.realm, uid))[1]


def test_each_has_their_own_role_and_no_other(world: World) -> None:
    people: dict[str, tuple[int, ...]] = {
        "ada": (ADA,),
        "bob": (BOB,),
        "carol": (1003,),
        "dora": (1004,),
        "eve": (1005,),
    }
    for name, uids in people.items():
        world.meet(name, *uids)
    found = {name: reach(world, governance(people), uids[0]) for name, uids in people.items()}
    assert {name: one.role for name, one in found.items()} == {
        "ada": Role.ADMINISTRATOR,
        "bob": Role.PERSON,
        "carol": Role.AUDITOR,
        "dora": Role.PERSON,
        "eve": Role.PERSON,
    }
    assert [name for name, one in found.items() if one.deployer] == ["bob"]
    assert [name for name, one in found.items() if one.approves] == ["dora"]
    for name in ("ada", "carol", "dora", "eve"):
        with pytest.raises(NotAdmittedError, match="this takes a deployer"):
            found[name].check_deploys()
    found["bob"].check_deploys()


def test_where_nobody_is_named_administrators_approve_and_each_deploys_their_own(world: World) -> None:
    people: dict[str, tuple[int, ...]] = {"ada": (ADA,), "eve": (1005,)}
    for name, uids in people.items():
        world.meet(name, *uids)
    here = governance(people, RolesSettings(administrator=("ada",)))
    for name, approves in (("ada", True), ("eve", False)):
        found = reach(world, here, people[name][0])
        assert found.approves is approves
        found.check_deploys()


def test_two_accounts_of_one_person_have_none_of_the_roles_that_do_not_go_together(world: World) -> None:
    people: dict[str, tuple[int, ...]] = {"ada": (ADA,), "bob": (BOB, 1003), "carol": (1003,)}
    world.meet("ada", ADA)
    world.meet("bob", BOB, 1003)
    here = governance(people)
    for uid in (BOB, 1003):
        found = reach(world, here, uid)
        assert (found.role, found.deployer, found.approves) == (Role.PERSON, False, False)
        assert not found.sees("ada"), "an auditor would"
    assert reach(world, here, ADA).role is Role.ADMINISTRATOR
    assert reach(world, here, 0).role is Role.ADMINISTRATOR, "root could do all of it anyway"


def test_a_third_account_of_that_person_has_none_of_them_either(world: World) -> None:
    people: dict[str, tuple[int, ...]] = {"ada": (1005,), "carol": (1005,), "bob": (BOB,)}
    world.meet("bob", BOB, 1005)
    assert reach(world, governance(people), BOB).deployer is False
    assert reach(world, governance({**people, "carol": (1003,)}), BOB).deployer is True


def test_remit_does_not_start_for_one_uid_with_two_roles() -> None:
    """root's is an account that every machine has."""
    settings = Settings(roles=RolesSettings(administrator=("root",), auditor=("carol",)), people={"carol": (0,)})
    with pytest.raises(ConfigError, match=r"`root` of `roles.administrator` and `carol` of `roles.auditor` are one"):
        governance_of(Places.system(), settings, None, os.getuid(), {})


def test_a_conflict_that_arises_is_on_record_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separation, "LOOK_SECONDS", 0.01)
    people: dict[str, tuple[int, ...]] = {"ada": (ADA,), "carol": (1003,)}
    kept = Separation(NAMED, people)
    acts: list[tuple[str, dict[str, Any]]] = []
    told: list[str] = []

    async def act(what: str, _subject: str, facts: dict[str, Any]) -> None:
        acts.append((what, facts))

    async def go() -> None:
        minding = asyncio.create_task(mind(kept, act, lambda event: told.append(event["text"])))
        await asyncio.sleep(0.05)
        assert (acts, told) == ([], [])
        people["carol"] = (1003, ADA)
        await asyncio.sleep(0.1)
        minding.cancel()
        with suppress(asyncio.CancelledError):
            await minding

    asyncio.run(go())
    assert acts == [("roles.conflict", {"roles": ["administrator", "auditor"], "uids": [ADA, 1003]})]
    assert told[0].startswith("`ada` of `roles.administrator` and `carol` of `roles.auditor` are one person")
    assert len(told) == 1
