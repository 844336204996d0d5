"""What an enrolled server is called."""

import dataclasses

import pytest

from remit.config import LONGEST_SOCKET_NAME
from remit.inventory.enrolment import enrol
from tests.inventory.test_changes import FOUND


@pytest.mark.parametrize("file", ["model", "the-model-server-of-the-whole-department-2026" * 2])
def test_its_name_leaves_room_for_its_unix_door(file: str) -> None:
    found = dataclasses.replace(FOUND, upstream=f"unix:/run/{file}.sock")
    taken: set[str] = set()
    for _ in range(12):
        name = enrol(found, owner="ada", trust_domain="maple.local", environment="dev", taken=taken, now=1.0).name
        assert name not in taken
        assert name.startswith(f"llama-{file[:20]}")
        assert len(f"{name}.sock") <= LONGEST_SOCKET_NAME
        taken.add(name)
