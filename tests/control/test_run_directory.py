"""The run's directory: nothing of a run stays in it, and nobody else's is ever touched."""

import os
import socket
import stat
from pathlib import Path

import pytest

from remit.control.run_directory import RunDirectory
from remit.errors import StateError


def litter(run: Path) -> None:
    """What a killed run leaves."""
    (run / "demo").mkdir(parents=True, exist_ok=True)
    for name in ("c.sock", "demo/m.sock"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(run / name))
    (run / "remit.json").write_text("{}")
    (run / "worker-inference.new").write_text("{}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a socket's path is at most 107 bytes
    return Path("run")


def test_what_a_killed_run_left_is_gone_at_the_next_start_and_all_of_it_at_its_end(run: Path) -> None:
    run.mkdir()
    litter(run)
    held = RunDirectory.hold(run)
    assert list(run.iterdir()) == []
    litter(run)
    held.remove()
    assert not run.exists()


def test_the_note_of_a_worker_that_may_run_still_is_kept(run: Path) -> None:
    run.mkdir()
    (run / "worker-inference.json").write_text("{}")
    RunDirectory.hold(run).remove()
    assert [one.name for one in run.iterdir()] == ["worker-inference.json"]


def test_what_is_not_remits_stays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    litter(tmp_path / "elsewhere")
    before = sorted(str(one) for one in (tmp_path / "elsewhere").rglob("*"))
    run.mkdir()
    (run / "notes.txt").write_text("precious")
    (run / "remit.json").symlink_to(tmp_path / "mine")
    (run / "demo").symlink_to(tmp_path / "elsewhere")
    RunDirectory.hold(run).remove()
    assert sorted(one.name for one in run.iterdir()) == ["demo", "notes.txt", "remit.json"]
    assert (tmp_path / "mine").read_text() == "precious"
    assert sorted(str(one) for one in (tmp_path / "elsewhere").rglob("*")) == before


def test_a_link_to_a_directory_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    litter(tmp_path / "victim")
    run.symlink_to(tmp_path / "victim")
    with pytest.raises(StateError, match="can't be used"):
        RunDirectory.hold(run)
    assert (tmp_path / "victim" / "c.sock").exists()


def test_a_directory_that_is_held_is_left_alone(run: Path) -> None:
    held = RunDirectory.hold(run)
    litter(run)
    with pytest.raises(StateError, match="in use by another Remit"):
        RunDirectory.hold(run)
    assert (run / "c.sock").exists()
    held.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused_and_left_as_it_is(run: Path) -> None:
    run.mkdir()
    litter(run)
    run.chmod(0o755)
    os.chown(run, 65534, 65534)
    with pytest.raises(StateError, match="not a directory of yours"):
        RunDirectory.hold(run)
    assert (run / "c.sock").exists()
    assert stat.S_IMODE(run.stat().st_mode) == 0o755


def test_one_that_was_open_to_others_is_closed(run: Path) -> None:
    run.mkdir()
    run.chmod(0o777)
    held = RunDirectory.hold(run)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    held.remove()
