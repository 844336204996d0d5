"""Manifests and indices that strangers wrote: read by a child behind walls, and none of them troubles control."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.errors import ModelError
from remit.models.behind_walls import read_through
from remit.models.digest import SETTLED_NS
from remit.models.huggingface import directory_files
from remit.models.ollama import ollama_files
from remit.sandbox.parsing import parsed
from tests.models.test_stores import an_ollama, sha

HEX = hashlib.sha256(b"GGUF").hexdigest()
LAYER = f'{{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:{HEX}"}}'
CONFIG = f'"config": {{"mediaType": "x", "digest": "sha256:{HEX}"}}'
GOOD = f'{{{CONFIG}, "layers": [{LAYER}]}}'

HOSTILE_MANIFESTS: dict[str, tuple[bytes, str]] = {
    "deep": (b'{"layers":' + b"[" * 500_000, "no JSON that can be read"),
    "deep and closed": (b'{"layers":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "no JSON that can be read"),
    "deep objects": (b'{"a":' * 90_000 + b"1" + b"}" * 90_000, "no JSON that can be read"),
    "a huge number": (b'{"layers": ' + b"9" * 900_000 + b"}", "no JSON that can be read"),
    "no number": (b'{"layers": NaN}', "no number"),
    "infinity": (b'{"layers": -Infinity}', "no number"),
    "invalid UTF-8": (b'{"layers": "\xff\xfe"}', "no JSON that can be read"),
    "UTF-16": (GOOD.encode("utf-16"), "no JSON that can be read"),
    "cut": (GOOD[:-3].encode(), "no JSON that can be read"),
    "empty": (b"", "no JSON that can be read"),
    "a list": (b"[1]", "no JSON object"),
    "layers twice": (f'{{{CONFIG}, "layers": [{LAYER}], "layers": []}}'.encode(), "a key twice"),
    "layers in other letters": (f'{{{CONFIG}, "layers": [{LAYER}], "Layers": []}}'.encode(), "a key twice"),
    "a long s": (f'{{{CONFIG}, "layers": [{LAYER}], "layer\u017f": []}}'.encode(), "a key twice"),
    "a digest twice": (GOOD.replace('"digest"', '"digest": "sha256:x", "Digest"', 1).encode(), "a key twice"),
    "a path for a digest": (GOOD.replace(HEX, "../../etc/passwd").encode(), "without a digest"),
    "a list for a digest": (GOOD.replace(f'"sha256:{HEX}"', "[]").encode(), "without a digest"),
    "too many layers": (f'{{{CONFIG}, "layers": [{",".join(["{}"] * 5000)}]}}'.encode(), "names no layers"),
    "too large": (GOOD.encode() + b" " * (2 << 20), "larger than"),
}
HOSTILE_INDICES: dict[str, tuple[bytes, str]] = {
    "elsewhere": (b'{"weight_map": {"a": "../x"}}', "no shards"),
    "the directory": (b'{"weight_map": {"a": ".."}}', "no shards"),
    "no text": (b'{"weight_map": {"a": [1]}}', "no shards"),
    "half a letter": (b'{"weight_map": {"a": "\\ud800"}}', "no shards"),
    "a newline": (b'{"weight_map": {"a": "x\\ny"}}', "no shards"),
    "too many": (json.dumps({"weight_map": {str(n): str(n) for n in range(2000)}}).encode(), "no shards"),
    "long names": (json.dumps({"weight_map": {str(n): f"{n}{'x' * 300}" for n in range(100)}}).encode(), "no shards"),
    "a key twice": (b'{"weight_map": {"a": "x"}, "weight_map": {"a": "y"}}', "a key twice"),
}


@pytest.mark.parametrize("name", HOSTILE_MANIFESTS)
def test_a_hostile_manifest_is_refused_by_its_parser(tmp_path: Path, name: str) -> None:
    data, why = HOSTILE_MANIFESTS[name]
    (tmp_path / "manifest").write_bytes(data)
    with pytest.raises(ModelError, match=why):
        parsed("ollama-manifest", str(tmp_path / "manifest"))


@pytest.mark.parametrize("name", HOSTILE_INDICES)
def test_a_hostile_index_is_refused_by_its_parser(tmp_path: Path, name: str) -> None:
    data, why = HOSTILE_INDICES[name]
    (tmp_path / "index").write_bytes(data)
    with pytest.raises(ModelError, match=why):
        parsed("shards-index", str(tmp_path / "index"))


@pytest.mark.parametrize("parser", ["ollama-manifest", "shards-index"])
def test_a_gigabyte_is_not_read(tmp_path: Path, parser: str) -> None:
    with (tmp_path / "manifest").open("wb") as file:
        file.write(b'{"layers": [')
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match="larger than"):
        parsed(parser, str(tmp_path / "manifest"))


def test_what_ollama_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text(GOOD)
    assert parsed("ollama-manifest", str(tmp_path / "manifest")) == [["weights", HEX], ["setting", HEX]]


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """What a parser that a file took over says, in place of the real one's answer."""
    answers: list[Any] = []
    read_through(lambda *_: answers[0])
    yield answers
    read_through(parsed)


LIES: list[Any] = [
    None,
    {"a": 1},
    [],
    [["weights"]],
    [["weights", "../../../etc/passwd"]],
    [["weights", HEX, HEX]],
    [["", HEX]],
    [["watched", HEX]],
    [[["weights"], HEX]],
    [["weights", HEX]] * 5000,
    [["weights", HEX], "x"],
]


@pytest.mark.parametrize("lie", LIES)
def test_a_parser_that_was_taken_over_leads_nowhere(tmp_path: Path, told: list[Any], lie: Any) -> None:
    an_ollama(tmp_path, model=b"GGUF")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    told.append(lie)
    with pytest.raises(ModelError):
        ollama_files(str(tmp_path), "smol")
    told[0] = ["../x"] if lie is None else lie
    with pytest.raises(ModelError):
        directory_files(str(tmp_path))


def test_a_manifest_that_stands_is_read_once_and_again_when_it_changed(tmp_path: Path) -> None:
    manifest = an_ollama(tmp_path, model=b"GGUF")
    a_minute_ago = time.time() - 60
    started = []

    def counted(name: str, path: str) -> Any:
        started.append(path)
        return parsed(name, path)

    read_through(counted)
    try:
        while True:  # its ctime is now; a file that changed just now is read each time
            ollama_files(str(tmp_path), "smol")
            if time.time_ns() - manifest.stat().st_ctime_ns > SETTLED_NS + 10**8:
                break
            time.sleep(0.5)
        ollama_files(str(tmp_path), "smol")
        count = len(started)
        files = ollama_files(str(tmp_path), "smol")
        assert len(started) == count
        assert files[0].claims == f"sha256:{sha(b'GGUF')}"
        an_ollama(tmp_path, model=b"GGUF other")
        os.utime(manifest, (a_minute_ago, a_minute_ago))
        assert ollama_files(str(tmp_path), "smol")[0].claims == f"sha256:{sha(b'GGUF other')}"
        assert len(started) == count + 1
    finally:
        read_through(parsed)
