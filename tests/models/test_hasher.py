"""The background hasher: one file at a time, one call back for each, nothing left hanging when it closes."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from remit.errors import ModelError
from remit.models import Hasher

WAIT = 10.0


class Waiter:
    """Collects what the hasher calls back with."""

    def __init__(self, expected: int) -> None:
        self.digests: list[str] = []
        self.errors: list[ModelError] = []
        self._left = threading.Semaphore(0)
        self._expected = expected

    def done(self, digest: str) -> None:
        self.digests.append(digest)
        self._left.release()

    def failed(self, error: ModelError) -> None:
        self.errors.append(error)
        self._left.release()

    def wait(self) -> None:
        for _ in range(self._expected):
            assert self._left.acquire(timeout=WAIT)


def test_files_are_hashed_in_order_and_a_missing_one_fails(tmp_path: Path) -> None:
    contents = [b"GGUF one", b"GGUF two"]
    for index, content in enumerate(contents):
        (tmp_path / f"{index}.gguf").write_bytes(content)
    waiter = Waiter(3)
    with Hasher() as hasher:
        hasher.submit(str(tmp_path / "0.gguf"), waiter.done, waiter.failed)
        hasher.submit(str(tmp_path / "absent.gguf"), waiter.done, waiter.failed)
        hasher.submit(str(tmp_path / "1.gguf"), waiter.done, waiter.failed)
        waiter.wait()
    assert waiter.digests == ["sha256:" + hashlib.sha256(content).hexdigest() for content in contents]
    assert "absent.gguf" in str(waiter.errors[0])


def test_closing_stops_the_running_job_and_fails_the_waiting_ones(tmp_path: Path) -> None:
    with (tmp_path / "large.gguf").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)  # sparse: a terabyte that would take minutes
    waiter = Waiter(3)
    hasher = Hasher()
    for _ in range(3):
        hasher.submit(str(tmp_path / "large.gguf"), waiter.done, waiter.failed)
    while hasher.state is None:
        pass
    assert hasher.state[0].endswith("large.gguf")
    hasher.close()
    waiter.wait()
    assert [str(error) for error in waiter.errors] == [f"hashing `{tmp_path}/large.gguf` was stopped"] * 3
    with pytest.raises(ModelError, match="closed"):
        hasher.submit("x", waiter.done, waiter.failed)
