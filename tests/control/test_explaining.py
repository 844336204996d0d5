"""A recorded decision told by control: to whom it was about, and how much of the policies."""

from pathlib import Path
from typing import Any

import pytest

from remit.control.explaining import OnRecord, explained
from remit.control.realm import Realm
from remit.control.roles import Reach, Role
from remit.errors import NotFoundError
from remit.inventory import Human
from remit.policy import Action, Engine
from remit.policy.in_force import InForce
from tests.control.test_realm import World
from tests.policy.test_replay import decided
from tests.policy.worlds import curl, intent, snapshot

OWN = '@id("own")\npermit (principal, action, resource is Workload)\nwhen { Human::"ada" == principal.owner };'
SIGNED = {"signer": "house", "serial": 7, "sha256": "sha256:" + "ab" * 32}
BOB = Reach("bob", Role.PERSON, (1001,))


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    realm = World(tmp_path).realm
    for name in ("ada", "bob"):
        realm.keep_human(Human(name, f"p-{name}", ()))
    return realm


def told(realm: Realm, reach: Reach) -> dict[str, Any]:
    snap = snapshot(OWN)
    row = {**decided(Engine(snap), intent(Action.LIST, curl("bob"))), "policy_set": snap.policy_set}
    acts = ({"kind": "act", "what": "policy.loaded", "t": 1.0, "facts": {"bundle": SIGNED}},)
    return explained(OnRecord(row, acts), realm, reach, InForce(snap))


def test_who_governs_reads_the_conditions_a_person_their_places_alone(realm: Realm) -> None:
    admin = told(realm, Reach("root", Role.ADMINISTRATOR, (0,)))
    assert '      Human::"ada" == principal.owner   p0.cedar:3' in admin["text"]
    person = told(realm, BOB)
    assert "ada" not in person["text"]
    assert "      p0.cedar:3" in person["text"]
    assert person["record"]["looked_into"]["permits"][0]["conditions"] == [{"text": "", "line": 3}]
    for one in (admin, person):
        assert "signed by    house, serial 7, bundle sha256:abababababab…" in one["text"]


def test_another_s_is_not_told(realm: Realm) -> None:
    with pytest.raises(NotFoundError, match="of yours"):
        told(realm, Reach("ada", Role.PERSON, (1000,)))
