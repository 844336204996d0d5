"""The code sealed at the installation: as the account that Remit runs as, once, through no link of that one's."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from remit.errors import StateError
from remit.persons.recovery_code import SEALED_FILE, read_sealed
from remit.persons.sealing import DIRECTORY, seal_at_install

NOBODY = pwd.getpwnam("nobody")
ME = pwd.getpwuid(os.getuid())
by_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can seal as another account")


def test_the_code_that_is_shown_opens_what_is_kept(tmp_path: Path) -> None:
    code = seal_at_install(tmp_path, ME, 1000.0)
    kept = read_sealed(tmp_path / DIRECTORY)
    assert code is not None
    assert kept is not None
    assert kept.opened_by(code)
    assert kept.made == 1000.0


def test_a_second_installation_leaves_the_code_that_somebody_wrote_down(tmp_path: Path) -> None:
    code = seal_at_install(tmp_path, ME, 1000.0)
    assert code is not None
    assert seal_at_install(tmp_path, ME, 2000.0) is None
    kept = read_sealed(tmp_path / DIRECTORY)
    assert kept is not None
    assert kept.opened_by(code)
    other = seal_at_install(tmp_path, ME, 3000.0, anew=True)
    kept = read_sealed(tmp_path / DIRECTORY)
    assert other is not None
    assert kept is not None
    assert kept.opened_by(other)
    assert not kept.opened_by(code)


@by_root
def test_it_is_that_accounts_and_nobody_else_reads_it(tmp_path: Path) -> None:
    state = _open_to_nobody(tmp_path)
    assert seal_at_install(state, NOBODY, 1000.0) is not None
    for path, mode in ((state / DIRECTORY, 0o700), (state / DIRECTORY / SEALED_FILE, 0o600)):
        facts = path.lstat()
        assert (facts.st_uid, facts.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
        assert stat.S_IMODE(facts.st_mode) == mode


@by_root
def test_root_follows_no_link_that_the_account_laid(tmp_path: Path) -> None:
    state, roots = _open_to_nobody(tmp_path), tmp_path / "roots"
    roots.mkdir(mode=0o700)
    (state / DIRECTORY).symlink_to(roots)
    with pytest.raises(StateError, match="no recovery code was sealed"):
        seal_at_install(state, NOBODY, 1000.0)
    assert list(roots.iterdir()) == []


def _open_to_nobody(tmp_path: Path) -> Path:
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY.pw_uid, NOBODY.pw_gid)
    return state
