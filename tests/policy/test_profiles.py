"""The profiles beside the policies, as they are read from disk: trusted no more than a policy is."""

from pathlib import Path

import pytest

from remit.errors import PolicyError
from remit.policy import load
from remit.policy.directory import read_directory, write_starter
from remit.tasks.profile import STARTERS, starters


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    assert write_starter(path)
    return path


def refused(home: Path) -> str:
    with pytest.raises(PolicyError) as wrong:
        load(read_directory(home))
    return str(wrong.value)


def test_those_in_the_directory_are_read_by_name(home: Path) -> None:
    (home / "profiles" / ".draft.toml").write_text("no profile")
    (home / "profiles" / "notes.txt").write_text("no profile")
    found = read_directory(home)
    assert sorted(load(found).profiles) == sorted(STARTERS)
    assert [file.name for file in found] == [*sorted(f"profiles/{name}" for name in starters()), "starter.cedar"]


def test_without_a_directory_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text('@id("a") permit (principal, action, resource);')
    assert load(read_directory(tmp_path)).profiles == {}


def test_what_everybody_may_write_is_refused(home: Path) -> None:
    (home / "profiles" / "coding.toml").chmod(0o666)
    assert "everybody on this host may write it" in refused(home)
    (home / "profiles" / "coding.toml").chmod(0o600)
    (home / "profiles").chmod(0o777)
    assert "everybody on this host may write it" in refused(home)


def test_a_link_that_leads_out_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('actions = ["infer"]\n')
    (home / "profiles" / "mine.toml").symlink_to(tmp_path / "mine.toml")
    assert "leads out" in refused(home)


def test_one_that_is_no_profile_is_told_by_file_and_line(home: Path) -> None:
    (home / "profiles" / "mine.toml").write_text('purpose = "x"\nactons = ["infer"]\n')
    assert refused(home) == "profiles/mine.toml:2:1: `actons` means nothing"
