"""Facts about the machine, each seen true, false and unknown."""

from pathlib import Path

import pytest

from remit.control.machine_facts import CORES, SUDO, TRACING, TYPING, machine_facts, sudo_asks

FILES: dict[str, tuple[str, dict[str, bool | None]]] = {
    TRACING: ("sys/kernel/yama/ptrace_scope", {"1\n": True, "2": True, "0\n": False, "?": None}),
    CORES: ("sys/fs/suid_dumpable", {"0\n": True, "2\n": True, "1\n": False, "": None}),
    TYPING: ("sys/dev/tty/legacy_tiocsti", {"0\n": True, "1\n": False, "-1": None}),
    SUDO: ("etc/sudoers", {"Defaults timestamp_timeout=0\n": True, "root ALL=(ALL) ALL\n": False}),
}


@pytest.mark.parametrize("name", FILES)
def test_each_is_what_its_file_says(name: str, tmp_path: Path) -> None:
    (tmp_path / "etc/sudoers.d").mkdir(parents=True)
    path, meanings = FILES[name]
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    for said, holds in meanings.items():
        (tmp_path / path).write_text(said)
        [fact] = [one for one in machine_facts(tmp_path / "sys", tmp_path / "etc") if one.name == name]
        assert fact.holds is holds, said
        assert fact.raises


def test_what_is_not_there_is_unknown_but_for_sudo(tmp_path: Path) -> None:
    holds = {fact.name: fact.holds for fact in machine_facts(tmp_path, tmp_path)}
    assert holds == {TRACING: None, CORES: None, TYPING: None, SUDO: True}
    (tmp_path / "sudoers").mkdir()
    assert [fact.holds for fact in machine_facts(tmp_path, tmp_path)][-1] is None


@pytest.mark.parametrize(
    ("texts", "holds"),
    [
        (["Defaults timestamp_timeout=0"], True),
        (["Defaults env_reset, timestamp_timeout = 0"], True),
        (["Defaults timestamp_timeout=5", "Defaults timestamp_timeout=0\n"], True),
        (["Defaults timestamp_timeout=0", "Defaults timestamp_timeout=15\n"], False),
        (["Defaults timestamp_timeout=0\nDefaults:ada timestamp_timeout=-1"], False),
        (["Defaults:ada timestamp_timeout=0"], False),
        (["# Defaults timestamp_timeout=0"], False),
        ([], False),
    ],
)
def test_sudo_asks_each_time_only_when_it_says_so_for_all(texts: list[str], holds: bool) -> None:
    assert sudo_asks(texts)[0] is holds
