"""Ollama's store of models: a manifest names the layers of a model, and each layer is a blob named by its digest."""

import re
from typing import Final

from remit.errors import ModelError
from remit.models.behind_walls import MANIFEST, read
from remit.models.files import ModelFile, named_file
from remit.models.layers import LAYERS, is_layer

REGISTRY: Final = "registry.ollama.ai"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


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
    layers = _layers(manifest.reading, name)
    files = [_blob(root, digest, role, pid) for role, digest in layers]
    return (*files, manifest)


def _layers(reading: str, name: str) -> list[tuple[str, str]]:
    """(role, hex digest) of each layer that decides what the model answers, as its reader says, if it can be so."""
    try:
        said = read(MANIFEST, reading)
    except ModelError as error:
        raise ModelError(f"the manifest of `{name}` can't be read") from error
    pairs = [(row[0], row[1]) for row in said if is_layer(row)] if isinstance(said, list) else []
    if not 0 < len(pairs) <= LAYERS + 1 or len(pairs) != len(said):
        raise ModelError(f"the manifest of `{name}` names no layers")
    return pairs


def _blob(root: str, hexes: str, role: str, pid: int | None) -> ModelFile:
    file = named_file(f"{root}/blobs/sha256-{hexes}", pid, role, f"sha256:{hexes}")
    if file is None:
        raise ModelError(f"the blob `sha256-{hexes[:12]}…` that the manifest names can't be read")
    return file
