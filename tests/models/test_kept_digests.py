"""Digests that outlive a restart: taken for the very same file only, and only from a file under the key."""

import os
import stat
from pathlib import Path

import pytest

from remit.models import FileState, KeptDigests, digest_file
from tests.models.test_digest import _aged

KEY = b"k" * 32


def test_a_file_is_not_read_again_after_a_restart_until_it_changes(tmp_path: Path) -> None:
    weights = _aged(_written(tmp_path / "m.gguf", b"GGUF one"))
    kept = tmp_path / "cache" / "weights.json"
    digest = digest_file(str(weights), cache=KeptDigests(kept, KEY))
    reads: list[int] = []
    again = digest_file(str(weights), cache=KeptDigests(kept, KEY), progress=lambda done, _: reads.append(done))
    assert (again, reads) == (digest, [])
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    weights.write_bytes(b"GGUF two")
    assert digest_file(str(weights), cache=KeptDigests(kept, KEY)) != digest


@pytest.mark.parametrize("key", [KEY, b"another" * 4])
def test_what_was_edited_or_is_under_another_key_counts_for_nothing(tmp_path: Path, key: bytes) -> None:
    state = FileState(1, 2, 3, 4, 5)
    path = tmp_path / "weights.json"
    KeptDigests(path, KEY).put(state, "sha256:" + "1" * 64, 10**18)
    assert KeptDigests(path, KEY).get(state) is not None
    if key == KEY:
        path.write_bytes(path.read_bytes().replace(b"1" * 64, b"2" * 64))
    assert KeptDigests(path, key).get(state) is None


def test_a_disk_that_takes_nothing_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"in the way")
    kept = KeptDigests(tmp_path / "cache" / "weights.json", KEY)
    kept.put(FileState(1, 2, 3, 4, 5), "sha256:" + "1" * 64, 10**18)
    assert kept.get(FileState(1, 2, 3, 4, 5)) is not None


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    os.sync()
    return path
