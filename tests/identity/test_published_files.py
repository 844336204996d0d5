"""Publishing: whole or as it was, only what changed, for all to read, and nowhere that anybody can write."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.errors import StateError, UsageError
from remit.identity.published_files import publish

OLD = {"keys": b"old keys", ".well-known/openid-configuration": b"old document"}
NEW = {"keys": b"n" * 40_000, ".well-known/openid-configuration": b"m" * 40_000}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What was published before."""
    publish(tmp_path / "site", OLD)
    return tmp_path / "site"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds the old files and one of the new ones."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", place):
        pytest.skip("NOT RUN: no tmpfs can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _mount(*arguments: str | Path) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


def there(site: Path) -> dict[str, bytes]:
    """Every file below, spares too."""
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_missing_directory_is_made_and_all_of_it_can_be_read_whatever_the_umask(tmp_path: Path) -> None:
    site, umask = tmp_path / "var" / "www" / "site", os.umask(0o077)
    try:
        changed = publish(site, OLD)
    finally:
        os.umask(umask)
    assert changed == [site / name for name in OLD]
    assert there(site) == OLD
    assert {path.stat().st_mode & 0o777 for path in changed} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (site, site / ".well-known")} == {0o755}


def test_what_is_the_same_is_left_alone(site: Path) -> None:
    before = {name: (site / name).stat() for name in OLD}
    assert publish(site, OLD) == []
    assert publish(site, OLD | {"keys": b"new"}) == [site / "keys"]
    untouched = ".well-known/openid-configuration"
    after = (site / untouched).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before[untouched].st_ino, before[untouched].st_mtime_ns)
    assert (site / "keys").read_bytes() == b"new"


def test_who_reads_an_open_file_keeps_the_whole_old_one(site: Path) -> None:
    with (site / "keys").open("rb") as reader:
        publish(site, NEW)
        assert reader.read() == OLD["keys"]


def test_a_full_disk_leaves_the_old_files_as_they_were(small_disk: Path) -> None:
    publish(small_disk, OLD)
    with pytest.raises(StateError, match=os.strerror(errno.ENOSPC)) as caught:
        publish(small_disk, NEW)
    assert "still there" in caught.value.hint
    assert there(small_disk) == OLD


def test_a_read_only_disk_is_said_so(small_disk: Path) -> None:
    publish(small_disk, OLD)
    assert _mount("-o", "remount,ro", small_disk) == 0
    with pytest.raises(StateError, match=os.strerror(errno.EROFS)):
        publish(small_disk, NEW)
    assert publish(small_disk, OLD) == []
    assert there(small_disk) == OLD


def test_a_file_that_may_not_grow_leaves_the_old_files_as_they_were(site: Path) -> None:
    """The quota of an ordinary user."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        with pytest.raises(StateError, match=os.strerror(errno.EFBIG)):
            publish(site, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert there(site) == OLD


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError):
            publish(place, OLD)
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "site" / "keys").mkdir(parents=True)
    with pytest.raises(StateError, match=os.strerror(errno.EISDIR)):
        publish(tmp_path / "site", OLD)


@pytest.mark.parametrize("open_one", [".", ".well-known"])
def test_a_directory_that_anybody_can_write_is_refused(site: Path, open_one: str) -> None:
    (site / open_one).chmod(0o777)
    with pytest.raises(StateError, match="anybody on this machine can write") as caught:
        publish(site, NEW)
    assert "chmod o-w" in caught.value.hint
    assert there(site) == OLD


KILLED = """
import os, pathlib, sys
from remit.identity import published_files
published_files._sync = lambda directory: os.kill(os.getpid(), 9)
published_files.publish(pathlib.Path(sys.argv[1]), {"keys": b"new keys", ".well-known/openid-configuration": b"new"})
"""


def test_a_run_that_was_killed_between_two_renames_is_made_whole_by_the_next(site: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(site)], check=False, timeout=30)
    assert done.returncode == -9
    assert (site / "keys").read_bytes() == b"new keys", "the keys come first: the document points at them"
    assert (site / ".well-known" / "openid-configuration").read_bytes() == OLD[".well-known/openid-configuration"]
    assert len(there(site)) == 3, "and it left a spare"
    publish(site, NEW)
    assert there(site) == NEW
