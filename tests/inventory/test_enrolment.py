"""What an enrolled server is called."""

import dataclasses

import pytest

from remit.config import LONGEST_SOCKET_NAME
from remit.identity import Process
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


def test_it_is_enrolled_by_what_holds_for_its_process() -> None:
    running = FOUND.process
    assert running is not None

    def selectors(process: Process | None) -> tuple[str, ...]:
        found = dataclasses.replace(FOUND, process=process)
        return enrol(found, owner="ada", trust_domain="maple.local", environment="dev", taken=(), now=1.0).selectors

    assert selectors(running) == ("unix:uid:1000", "unix:path:/bin/s", "unix:sha256:aa")
    assert selectors(dataclasses.replace(running, exe_deleted=True)) == ("unix:uid:1000", "unix:sha256:aa")
    assert selectors(None) == ()
