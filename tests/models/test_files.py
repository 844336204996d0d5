"""Which model files a process has: mapped, open, deleted, replaced; told by their first bytes."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.models import ModelFile, format_of, mapped_model_files, model_file_at

SAFETENSORS = (2).to_bytes(8, "little") + b"{}" + bytes(16)


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"GGUF\x03\0\0\0", "anything", "gguf"),
        (b"tjgg\x03\0\0\0", "old.bin", "ggml"),
        (SAFETENSORS[:16], "model.safetensors", "safetensors"),
        (b"PK\x03\x04", "pytorch_model.bin", "pytorch"),
        (b"\x80\x02}q", "consolidated.pth", "pytorch"),
        (b"PK\x03\x04", "archive.zip", None),
        (b"\x7fELF\x02\x01\x01", "libllama.so", None),
        (b"GGU", "short", None),
        (b"", "empty.gguf", None),
        (b"\0\0\0\0\0\0\0\0{", "nearly", None),
        (b"\xff" * 8 + b"{", "far too long a header", None),
    ],
)
def test_a_format_is_told_by_its_first_bytes(head: bytes, name: str, expected: str | None) -> None:
    assert format_of(head, name) == expected


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[Path]:
    """A GGUF file that this process has mapped, and closed since."""
    path = tmp_path / "with space and\nnewline.gguf"
    path.write_bytes(b"GGUF" + bytes(8192))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        file.close()
        yield path


def _of(path: Path) -> list[ModelFile]:
    files = mapped_model_files(os.getpid())
    assert files is not None
    return [file for file in files if file.path == str(path)]


def test_a_mapped_file_is_found(mapped: Path) -> None:
    (file,) = _of(mapped)
    assert (file.format, file.current) == ("gguf", True)
    assert file.node == (mapped.stat().st_dev, mapped.stat().st_ino)
    assert Path(file.reading).read_bytes()[:4] == b"GGUF"


def test_a_file_replaced_since_it_was_mapped_is_not_current(mapped: Path) -> None:
    other = mapped.with_name("new.gguf")
    other.write_bytes(b"GGUF other weights")
    other.rename(mapped)
    assert [file.current for file in _of(mapped)] == [False]


def test_an_open_file_can_still_be_read_when_it_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFETENSORS)
    with path.open("rb"):
        path.unlink()
        (file,) = _of(path)
        assert (file.format, file.current) == ("safetensors", False)
        assert Path(file.reading).read_bytes() == SAFETENSORS


def test_a_process_that_is_not_there_is_unknown() -> None:
    assert mapped_model_files(2**22 + 1) is None  # above the kernel's largest pid


@pytest.mark.parametrize("path", ["/a\0b", "/\ud800", ""])
def test_what_a_server_names_may_be_no_path_at_all(path: str) -> None:
    assert model_file_at(path) is None
    assert model_file_at(path, os.getpid()) is None
