"""Models as Ollama, Hugging Face's cache and directories of shards keep them: all of their files, or unknown."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from remit.errors import ModelError
from remit.models.huggingface import directory_files, snapshot
from remit.models.ollama import manifest_path, ollama_files


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def an_ollama(root: Path, name: str = "registry.ollama.ai/library/smol/latest", **layers: bytes) -> Path:
    """A store with one model; the path of its manifest."""
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, data in layers.items():
        (root / "blobs" / f"sha256-{sha(data)}").write_bytes(data)
        media = f"application/vnd.ollama.image.{kind}"
        rows.append({"mediaType": media, "digest": f"sha256:{sha(data)}", "size": len(data)})
    config = b'{"model_format":"gguf"}'
    (root / "blobs" / f"sha256-{sha(config)}").write_bytes(config)
    media = "application/vnd.docker.container.image.v1+json"
    manifest = root / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(
        json.dumps({"config": {"mediaType": media, "digest": f"sha256:{sha(config)}"}, "layers": rows})
    )
    return manifest


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("smol", "registry.ollama.ai/library/smol/latest"),
        ("smol:135m", "registry.ollama.ai/library/smol/135m"),
        ("ada/smol:135m", "registry.ollama.ai/ada/smol/135m"),
        ("hf.co/ada/smol:Q4_K_M", "hf.co/ada/smol/Q4_K_M"),
    ],
)
def test_a_name_leads_to_its_manifest(name: str, place: str) -> None:
    assert manifest_path("/m", name) == f"/m/manifests/{place}"


@pytest.mark.parametrize("name", ["", ":", "../x", "a/../b", "a//b", "a/b/c/d", "x:..", "x:a:b", "/etc/x", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ModelError):
        manifest_path("/m", name)


def test_an_ollama_model_is_its_layers_but_not_its_licence_and_each_blob_claims_its_digest(tmp_path: Path) -> None:
    an_ollama(tmp_path, model=b"GGUF weights", template=b"{{ .Prompt }}", adapter=b"a", license=b"free", params=b"{}")
    files = ollama_files(str(tmp_path), "smol")
    assert [file.role for file in files] == ["weights", "template", "adapter", "setting", "setting", "watched"]
    assert [file.claims for file in files[:2]] == [
        f"sha256:{sha(b'GGUF weights')}",
        f"sha256:{sha(b'{{ .Prompt }}')}",
    ]
    assert not any(file.loaded for file in files)


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: manifest.unlink(),
        lambda manifest: manifest.write_text("{"),
        lambda manifest: manifest.write_text("[" * 100_000),
        lambda manifest: manifest.write_text('{"layers": []}'),
        lambda manifest: manifest.write_text('{"layers": [{"mediaType": "x", "digest": "sha256:../../x"}]}'),
        lambda manifest: manifest.write_bytes(bytes(2 << 20)),
        lambda manifest: next((manifest.parents[4] / "blobs").iterdir()).unlink(),
    ],
)
def test_a_damaged_store_is_refused(tmp_path: Path, damage: Any) -> None:
    damage(an_ollama(tmp_path, model=b"GGUF"))
    with pytest.raises(ModelError):
        ollama_files(str(tmp_path), "smol")


def a_cache(cache: Path, **files: bytes) -> Path:
    """A hub's cache with one repository: blobs, and a snapshot of links to them."""
    home = cache / "models--ada--smol"
    place = home / "snapshots" / ("c" * 40)
    for directory in (home / "blobs", home / "refs", place):
        directory.mkdir(parents=True)
    (home / "refs" / "main").write_text("c" * 40)
    for name, data in files.items():
        file = name.replace("__", ".").replace("_dash_", "-")
        (home / "blobs" / sha(data)).write_bytes(data)
        (place / file).symlink_to(f"../../blobs/{sha(data)}")
    return place


def test_a_snapshot_s_files_claim_the_digests_that_their_blobs_are_named_by(tmp_path: Path) -> None:
    place = a_cache(tmp_path, model__safetensors=b"weights", tokenizer_config__json=b"{}", config__json=b"{} ")
    assert snapshot(str(tmp_path), "ada/smol") == str(place)
    files = directory_files(snapshot(str(tmp_path), "ada/smol"))
    assert [(file.role, file.claims) for file in files] == [
        ("weights", f"sha256:{sha(b'weights')}"),
        ("template", f"sha256:{sha(b'{}')}"),
        ("setting", f"sha256:{sha(b'{} ')}"),
    ]


@pytest.mark.parametrize("name", ["", "..", "a/../..", "/etc", "a/b/c", "ada/other"])
def test_a_repository_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    a_cache(tmp_path)
    with pytest.raises(ModelError):
        snapshot(str(tmp_path), name)


def indexed(directory: Path, *shards: Any) -> None:
    rows = {f"t{number}": shard for number, shard in enumerate(shards)}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": rows}))


def test_a_sharded_model_is_all_of_its_shards_in_order_and_its_index_is_watched(tmp_path: Path) -> None:
    indexed(tmp_path, "b.safetensors", "a.safetensors", "b.safetensors")
    for name in ("a", "b", "not-of-it"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    files = directory_files(str(tmp_path))
    assert [(os.path.basename(file.path), file.role) for file in files] == [
        ("a.safetensors", "weights"),
        ("b.safetensors", "weights"),
        ("model.safetensors.index.json", "watched"),
    ]


@pytest.mark.parametrize("shards", [(), ("../a.safetensors",), ("/a",), ("..",), (1,), ("a.safetensors", "gone")])
def test_an_index_that_leads_elsewhere_or_is_short_of_a_shard_is_refused(tmp_path: Path, shards: tuple[Any]) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"a")
    indexed(tmp_path, *shards)
    with pytest.raises(ModelError):
        directory_files(str(tmp_path))
