"""Digests of model files: right, stoppable, and never of a file that changed."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ModelError
from remit.models import DigestCache, FileState, digest_file
from remit.models.digest import READ_BYTES, SETTLED_NS


def _aged(path: Path) -> Path:
    """`path`, last changed long enough ago; ctime can only be let pass, so wait for it."""
    os.utime(path, ns=(1, 1))
    deadline = path.stat().st_ctime_ns + SETTLED_NS
    while time.time_ns() <= deadline:
        time.sleep(0.05)
    return path


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0, 1, 4095, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1]), st.binary(min_size=1, max_size=8))
def test_it_is_the_sha256_of_the_whole_file(tmp_path_factory: pytest.TempPathFactory, size: int, seed: bytes) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.gguf"
    content = (seed * (size // len(seed) + 1))[:size]
    path.write_bytes(content)
    assert digest_file(str(path)) == "sha256:" + hashlib.sha256(content).hexdigest()


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(2 * READ_BYTES + 7))
    seen: list[tuple[int, int]] = []
    digest_file(str(path), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(READ_BYTES, 2 * READ_BYTES + 7), (2 * READ_BYTES, 2 * READ_BYTES + 7), (seen[-1][1],) * 2]


def test_it_stops_when_told(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(4 * READ_BYTES))
    reads: list[int] = []
    with pytest.raises(ModelError, match="stopped"):
        digest_file(str(path), progress=lambda done, _: reads.append(done), stop=lambda: len(reads) == 2)
    assert len(reads) == 2


@pytest.mark.parametrize("change", ["append", "truncate", "overwrite", "endless"])
def test_a_file_that_changes_while_it_is_read_has_no_digest(tmp_path: Path, change: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(2 * READ_BYTES))

    def meddle(done: int, _total: int) -> None:
        if change == "endless" or done == READ_BYTES:
            with path.open("r+b") as file:
                if change == "truncate":
                    file.truncate(READ_BYTES)
                else:
                    file.seek(0, os.SEEK_SET if change == "overwrite" else os.SEEK_END)
                    file.write(b"x" * (READ_BYTES if change == "endless" else 1))

    with pytest.raises(ModelError, match="changed while it was being hashed"):
        digest_file(str(path), progress=meddle, cache=DigestCache())


def test_a_cached_digest_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" * 1000)
    cache, reads = DigestCache(), []
    _aged(path)
    first = digest_file(str(path), cache=cache, progress=lambda done, _: reads.append(done))
    again = digest_file(str(path), cache=cache, progress=lambda done, _: reads.append(done))
    assert first == again
    assert len(reads) == 1


def test_changed_bytes_with_the_old_time_are_hashed_again(tmp_path: Path) -> None:
    path, cache = tmp_path / "model.gguf", DigestCache()
    path.write_bytes(b"GGUF" * 1000)
    _aged(path)
    before = digest_file(str(path), cache=cache)
    with path.open("r+b") as file:
        file.write(b"EVIL")
    os.utime(path, ns=(1, 1))  # as an attacker would; ctime moves all the same
    assert digest_file(str(path), cache=cache) != before


def test_a_file_that_changed_just_now_is_not_remembered() -> None:
    cache = DigestCache()
    fresh = FileState(1, 2, 3, 10**18, 10**18)
    cache.put(fresh, "sha256:aa", now_ns=10**18 + 1)
    assert cache.get(fresh) is None
    cache.put(fresh, "sha256:aa", now_ns=10**18 + SETTLED_NS)
    assert cache.get(fresh) == "sha256:aa"


def test_a_cheap_look_tells_whether_a_file_is_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    assert FileState.at(str(path)) is None
    path.write_bytes(b"GGUF")
    before = FileState.at(str(path))
    assert before == FileState.at(str(path)) is not None
    path.write_bytes(b"GGUF and more")
    assert FileState.at(str(path)) != before


def test_another_file_at_the_same_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    status = path.stat()
    (tmp_path / "other").write_bytes(b"GGUF")
    (tmp_path / "other").rename(path)
    with pytest.raises(ModelError, match="no longer the file that was loaded"):
        digest_file(str(path), node=(status.st_dev, status.st_ino))


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, reason in (
        (tmp_path / "fifo", "not a regular file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "absent", "No such file"),
    ):
        with pytest.raises(ModelError, match=reason):
            digest_file(str(path))
