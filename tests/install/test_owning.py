"""Giving a directory away as root: nothing outside of it, whatever who has it does meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remit.install import owning

NOBODY = 65534
ROUNDS = 300
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

# Two names change places again and again: a directory, and a link to one that is root's.
SWAPPING = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(name) for name in sys.argv[1:])
print("ready", flush=True)
while libc.renameat2(-100, one, -100, other, 2) == 0:
    pass
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    (made / "audit").mkdir(parents=True)
    (made / "audit" / "control.log").write_text("a record\n")
    return made


def test_all_of_it_is_given_and_taken_back(state: Path) -> None:
    assert owning.give(state, NOBODY, NOBODY) == []
    assert {path.stat().st_uid for path in state.rglob("*")} == {NOBODY}
    owning.take(state / "audit")
    assert {path.stat().st_uid for path in state.rglob("*")} == {0}


def test_a_file_that_has_another_name_is_not_given(state: Path, tmp_path: Path) -> None:
    (outside := tmp_path / "shadow").write_text("root's\n")
    (state / "a").hardlink_to(outside)
    assert owning.give(state, NOBODY, NOBODY) == [state / "a"]
    assert outside.stat().st_uid == 0


def test_what_a_link_leads_to_is_not_given(state: Path, tmp_path: Path) -> None:
    (outside := tmp_path / "etc").mkdir()
    (outside / "shadow").write_text("root's\n")
    (state / "etc").symlink_to(outside)
    (state / "shadow").symlink_to(outside / "shadow")
    assert owning.give(state, NOBODY, NOBODY) == []
    assert outside.stat().st_uid == (outside / "shadow").stat().st_uid == 0


def test_a_directory_that_becomes_a_link_meanwhile_gives_nothing_away(state: Path, tmp_path: Path) -> None:
    (outside := tmp_path / "etc").mkdir()
    (outside / "shadow").write_text("root's\n")
    (state / "etc").mkdir()
    (state / "etc" / "shadow").write_text("not root's\n")
    (aside := tmp_path / "aside").symlink_to(outside)
    swapping = [sys.executable, "-c", SWAPPING, str(state / "etc"), str(aside)]
    with subprocess.Popen(swapping, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for number in range(ROUNDS):
                owning.give(state, NOBODY - number % 2, NOBODY)
        finally:
            process.kill()
    assert (outside / "shadow").stat().st_uid == 0
