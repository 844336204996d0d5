"""Parsers behind walls: whatever a file makes of its parser, control gets a clear error and goes on."""

import os
from pathlib import Path

import pytest

from remit.errors import ModelError
from remit.sandbox import locate
from remit.sandbox.parsing import parsed
from tests.sandbox import hostile_parsers

HOSTILE = (hostile_parsers.__file__,)
KILLED = "was ended by signal 31"  # SIGSYS
ENDS = {
    "opens": KILLED,
    "writes_a_file": KILLED,
    "reads_the_environment_of_control": KILLED,
    "connects": KILLED,
    "makes_a_socket": KILLED,
    "forks": KILLED,
    "executes": KILLED,
    "kills_control": KILLED,
    "traces_control": KILLED,
    "makes_code": KILLED,
    "writes_to_its_file": KILLED,
    "duplicates": KILLED,
    "raises_its_limits": KILLED,
    "crashes": "was ended by signal 11",
    "answers_1_gb": "said more than 524288 bytes",
    "answers_no_json": "no answer",
    "answers_half": "no answer",
    "answers_nothing": "no answer",
    "allocates": "was ended by signal|broke",
    "endless": "took too long",
    "answers_late": "took too long",
    "refuses": "this is no such file",
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "m.gguf").write_bytes(b"GGUF and more")
    return str(tmp_path / "m.gguf")


def test_every_try_has_an_end() -> None:
    assert ENDS.keys() == hostile_parsers.TRIES.keys() - {"reads"}


@pytest.mark.parametrize("name", ENDS)
def test_a_parser_that_was_taken_over_gets_nowhere(name: str, file: str) -> None:
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(ModelError, match=ENDS[name]) as raised:
        parsed(name, file, program=HOSTILE, seconds=1.5 if "long" in ENDS[name] else 20)
    assert "m.gguf" in str(raised.value)
    assert os.listdir("/proc/self/fd") == descriptors
    assert not Path("/tmp/remit-was-here").exists()
    assert parsed("reads", file, program=HOSTILE) == "GGUF "  # and the next file is read as ever


def test_the_real_models_template_is_read() -> None:
    said = parsed("gguf-template", str(locate().path))
    assert said == "sha256:872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"


def test_a_damaged_header_is_told_with_the_files_name(file: str) -> None:
    with pytest.raises(ModelError, match=r"m\.gguf`: this version of GGUF is not known"):
        parsed("gguf-template", file)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.gguf")
    for path, why in ((tmp_path / "m.gguf", "no regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(ModelError, match=why):
            parsed("gguf-template", str(path))
