"""The policy directory: what is read from it, and what is not trusted."""

from pathlib import Path

import pytest

from remit.errors import PolicyError
from remit.policy import load, read_directory, write_starter
from remit.policy.directory import MAX_FILE_BYTES, MAX_FILES


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    assert write_starter(path)
    return path


def refused(home: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        read_directory(home)
    return str(caught.value)


def test_the_starter_is_written_once_and_loads(home: Path) -> None:
    assert len(load(read_directory(home)).policies) == 8
    (home / "starter.cedar").write_text("// mine\n")
    assert not write_starter(home)
    assert read_directory(home)[-1].text == "// mine\n"


def test_a_directory_with_other_policies_gets_no_starter(tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text("// own\n")
    assert not write_starter(tmp_path)
    assert [file.name for file in read_directory(tmp_path)] == ["own.cedar"]


def test_files_are_read_by_name_and_the_rest_is_left_alone(home: Path) -> None:
    for name in ("b.cedar", "a.cedar", ".hidden.cedar", "README.md", "z.cedar~"):
        (home / name).write_text(f"// {name}\n")
    (home / ".git").mkdir()
    names = [file.name for file in read_directory(home) if not file.name.startswith("profiles/")]
    assert names == ["a.cedar", "b.cedar", "starter.cedar"]


def test_what_everybody_may_write_is_not_trusted(home: Path) -> None:
    (home / "starter.cedar").chmod(0o666)
    assert "everybody on this host may write it" in refused(home)
    (home / "starter.cedar").chmod(0o644)
    home.chmod(0o777)
    assert "everybody on this host may write it" in refused(home)


def test_links_may_not_lead_out(home: Path, tmp_path: Path) -> None:
    before = len(read_directory(home))
    (home / "in.cedar").symlink_to("starter.cedar")
    assert len(read_directory(home)) == before + 1
    (tmp_path / "out.cedar").write_text("// out\n")
    (home / "out.cedar").symlink_to("../out.cedar")
    assert "out.cedar:1:1: the link leads out of the policy directory" in refused(home)


def test_sizes_are_bounded(home: Path) -> None:
    (home / "big.cedar").write_bytes(b"/" * (MAX_FILE_BYTES + 1))
    assert f"larger than {MAX_FILE_BYTES} bytes" in refused(home)
    for name in ("big.cedar", "big2.cedar", "big3.cedar"):
        (home / name).write_bytes(b"/" * MAX_FILE_BYTES)
    assert "together" in refused(home)
    for number in range(MAX_FILES + 1):
        (home / f"{number}.cedar").touch()
    assert f"more than {MAX_FILES} policy files" in refused(home)


def test_only_plain_utf8_files_count(home: Path) -> None:
    (home / "bytes.cedar").write_bytes(b"// fine\n// not \xff fine\n")
    assert "bytes.cedar:2:8: this is no UTF-8" in refused(home)
    (home / "bytes.cedar").unlink()
    (home / "folder.cedar").mkdir()
    assert "this is no plain file" in refused(home)
    (home / "folder.cedar").rmdir()
    (home / "gone.cedar").symlink_to("nowhere.cedar")
    assert "can't be read" in refused(home)
    (home / "gone.cedar").unlink()
    (home / "two\nlines.cedar").touch()
    assert "the name" in refused(home)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "can't be read" in refused(tmp_path / "nowhere")
