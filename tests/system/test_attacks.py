"""A hostile program with its owner's uid, let loose on Remit in user mode: what it gets done, by effect."""

from pathlib import Path

import pytest

from tests.system.attacked import USER, attack
from tests.system.machine import can_make_machines

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not can_make_machines(), reason="machines of their own are made by root only"),
]

# Grade C: what the same uid can do to Remit in user mode.
SUCCEEDS = {
    "reading": {"read-keys", "read-database", "read-log"},
    "ending": {"renice", "descriptor-limit", "stop-process", "kill"},
}


@pytest.mark.parametrize("family", SUCCEEDS)
def test_what_a_hostile_program_of_the_same_uid_gets_done_in_user_mode(family: str, tmp_path: Path) -> None:
    told = attack(tmp_path, USER, family)
    assert {one["try"] for one in told if one["succeeded"]} >= SUCCEEDS[family], told
