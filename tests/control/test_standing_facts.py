"""Facts about files and accounts: each seen true, false and unknown."""

import os
from pathlib import Path

import pytest

from remit.control.standing_facts import out_of_reach, separate_uid
from remit.posture.grade import CODE

SOMEBODY = 54321


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir(mode=0o755)
    (tmp_path / "code" / "a.py").write_text("")
    (tmp_path / "code" / "a.py").chmod(0o644)
    return tmp_path / "code"


def _own() -> frozenset[int]:
    return frozenset({0, os.getuid()})


def test_the_uid() -> None:
    assert separate_uid(0).holds is False
    assert separate_uid(SOMEBODY).holds is None


def test_out_of_reach(code: Path) -> None:
    assert out_of_reach(CODE, [code], _own()).holds is True
    assert out_of_reach(CODE, [code / "none"], _own()).holds is None
    stranger = out_of_reach(CODE, [code], frozenset({SOMEBODY}))
    assert (stranger.holds, stranger.evidence) == (False, f"`{code}` belongs to uid {os.getuid()}")

    assert out_of_reach(CODE, [code / "a.py"], _own()).holds is True


def test_where_a_link_lies_counts(code: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(code / "a.py")
    assert out_of_reach(CODE, [tmp_path / "bin" / "python"], _own()).holds is True
    (tmp_path / "bin").chmod(0o777)
    assert out_of_reach(CODE, [tmp_path / "bin" / "python"], _own()).holds is False


@pytest.mark.parametrize(("what", "mode"), [("a.py", 0o646), ("a.py", 0o666), (".", 0o757), (".", 0o777)])
def test_what_others_can_write_is_in_reach(code: Path, what: str, mode: int) -> None:
    (code / what).chmod(mode)
    assert "can be written by others" in out_of_reach(CODE, [code], _own()).evidence


def test_a_directory_above_counts(code: Path) -> None:
    code.parent.chmod(0o777)
    assert out_of_reach(CODE, [code], _own()).evidence == f"`{code.parent}` can be written by others"


def test_private_is_not_readable_either(code: Path) -> None:
    assert out_of_reach(CODE, [code], _own(), private=True).evidence == f"`{code}` can be read by others"
    code.chmod(0o700)
    assert out_of_reach(CODE, [code], _own(), private=True).holds is True
