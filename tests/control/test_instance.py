"""The run file: there as long as the instance is, and gone last."""

from pathlib import Path

from remit.control.instance import Lock, write_run_file


def test_the_run_file_goes_when_the_place_is_given_free(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", tmp_path / "remit.json")
    write_run_file(tmp_path / "remit.json", {"pid": 1})
    lock.release()
    assert not (tmp_path / "remit.json").exists()
