"""One control process an instance: who comes second is told where the first runs."""

from pathlib import Path

import pytest

from remit.control.instance import Lock, write_run_file
from remit.errors import StateError


def test_the_place_is_held_until_it_is_given_free(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", tmp_path / "remit.json")
    write_run_file(tmp_path / "remit.json", {"pid": 1, "urls": ["http://127.0.0.1:1"]})
    with pytest.raises(StateError, match=r"already runs here \(pid 1\): http://127.0.0.1:1"):
        Lock(tmp_path / "lock", tmp_path / "remit.json")
    lock.release()
    Lock(tmp_path / "lock", tmp_path / "remit.json").release()
