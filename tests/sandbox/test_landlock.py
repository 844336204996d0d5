"""A process that gave up all files but some: what it can still open."""

import subprocess
import sys
from pathlib import Path

import pytest

import remit

SOURCE = str(Path(remit.__file__).parents[1])
BODY = f"""
import os, sys
sys.path.insert(0, {SOURCE!r})
from remit.sandbox.hardening import harden
from remit.sandbox.landlock import only_read
harden()
if not only_read([sys.argv[1], "/not/there"]):
    os._exit(77)
try:
    {{tried}}
except OSError as error:
    os._exit(error.errno)
os._exit(0)
"""
EACCES = 13


def tried(what: str, allowed: Path, other: Path) -> int:
    child = subprocess.run(
        [sys.executable, "-I", "-c", BODY.format(tried=what), str(allowed), str(other)], timeout=30, check=False
    )
    if child.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    return child.returncode


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """One that is allowed, and another; each has a file, and a way into the other."""
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for place in (allowed, other):
        place.mkdir()
        (place / "file").write_text("as it was")
    (allowed / "link").symlink_to(other / "file")
    return allowed, other


@pytest.mark.parametrize("what", ["open(sys.argv[1] + '/file').read()", "os.listdir(sys.argv[1])"])
def test_what_is_allowed_can_be_read(what: str, places: tuple[Path, Path]) -> None:
    assert tried(what, *places) == 0


@pytest.mark.parametrize(
    "what",
    [
        "open(sys.argv[2] + '/file')",
        "open(sys.argv[1] + '/link')",
        "open(sys.argv[1] + '/../other/file')",
        "os.listdir(sys.argv[2])",
        "os.listdir('/')",
        "open('/proc/self/status')",
        "open('/dev/null')",
        "open(sys.argv[1] + '/file', 'a')",
        "open(sys.argv[1] + '/new', 'w')",
        "os.unlink(sys.argv[1] + '/file')",
        "os.mkdir(sys.argv[1] + '/new')",
    ],
)
def test_nothing_else_can_be_opened_and_nothing_written(what: str, places: tuple[Path, Path]) -> None:
    assert tried(what, *places) == EACCES
    assert {path.read_text() for path in (places[0] / "file", places[1] / "file")} == {"as it was"}


def test_what_it_starts_can_no_more(places: tuple[Path, Path]) -> None:
    what = "open(sys.argv[2] + '/file') if not os.fork() else os._exit(os.waitstatus_to_exitcode(os.wait()[1]))"
    assert tried(what, *places) == EACCES
