"""Ollama's store of models: a manifest names the layers of a model, and each layer is a blob named by its digest."""

import json
import re
from pathlib import Path
from typing import Any, Final

from remit.errors import ModelError
from remit.models.files import ModelFile, named_file

MANIFEST_BYTES: Final = 1 << 20
LAYERS: Final = 4096
REGISTRY: Final = "registry.ollama.ai"
_MEDIA: Final = "application/vnd.ollama.image."
_ROLES: Final = {
    "model": "weights",
    "tensor": "weights",
    "projector": "weights",
    "template": "template",
    "adapter": "adapter",
    "license": "",
}
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})\Z")


def manifest_path(root: str, name: str) -> str:
    """Where the manifest of the model called `name` lies below `root`; raises ModelError for no such name.

    `gemma3` is `registry.ollama.ai/library/gemma3:latest`; a user's has their name, another registry's its host.
    """
    stem, colon, tag = name.partition(":") if "/" not in name.rsplit(":", 1)[-1] else (name, "", "")
    if ":" in tag:
        raise ModelError(f"`{name}` is no name of an Ollama model")
    parts = stem.split("/")
    parts = [*([REGISTRY, "library"][: max(0, 3 - len(parts))]), *parts, tag if colon else "latest"]
    if len(parts) != 4 or not all(_PART.match(part) for part in parts):
        raise ModelError(f"`{name}` is no name of an Ollama model")
    return "/".join((root, "manifests", *parts))


def ollama_files(root: str, name: str, pid: int | None = None) -> tuple[ModelFile, ...]:
    """The files that make up a model of Ollama's, in the manifest's order, the manifest last.

    `root` is as process `pid` sees it. Raises ModelError when the manifest can't be read, or a blob is not there.
    """
    path = manifest_path(root, name)
    manifest = named_file(path, pid, "watched")
    if manifest is None:
        raise ModelError(f"the manifest of `{name}` can't be read")
    layers = _layers(_manifest(manifest.reading, name), name)
    files = [_blob(root, digest, role, pid) for role, digest in layers]
    return (*files, manifest)


def _manifest(reading: str, name: str) -> dict[str, Any]:
    try:
        with Path(reading).open("rb") as file:
            data = file.read(MANIFEST_BYTES + 1)
        value = json.loads(data) if len(data) <= MANIFEST_BYTES else None
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ModelError(f"the manifest of `{name}` can't be read")
    return value


def _layers(manifest: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """(role, hex digest) of each layer that decides what the model answers; raises ModelError for a bad one."""
    rows = manifest.get("layers")
    if not isinstance(rows, list) or not 0 < len(rows) <= LAYERS:
        raise ModelError(f"the manifest of `{name}` names no layers")
    found = []
    for row in (*rows, manifest.get("config")):
        media = row.get("mediaType") if isinstance(row, dict) else None
        match = (
            _DIGEST.match(row["digest"]) if isinstance(media, str) and isinstance(row.get("digest"), str) else None
        )
        if match is None:
            raise ModelError(f"the manifest of `{name}` names a layer without a digest")
        role = _ROLES.get(str(media).removeprefix(_MEDIA), "setting")
        if role:
            found.append((role, match[1]))
    return found


def _blob(root: str, hexes: str, role: str, pid: int | None) -> ModelFile:
    file = named_file(f"{root}/blobs/sha256-{hexes}", pid, role, f"sha256:{hexes}")
    if file is None:
        raise ModelError(f"the blob `sha256-{hexes[:12]}…` that the manifest names can't be read")
    return file
