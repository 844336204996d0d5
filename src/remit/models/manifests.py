"""What strangers' JSON says of a model's files, as plain answers: for `remit.sandbox.parse` alone, behind walls."""

import json
import re
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from remit.errors import ModelError
from remit.models.layers import INDEX_BYTES, LAYERS, MANIFEST_BYTES, ROLES, SETTING, SHARDS, is_name

_MEDIA: Final = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})\Z")

Pairs = list[tuple[str, Any]]


def ollama_layers(file: BinaryIO) -> list[list[str]]:
    """[role, hex digest] of each layer that decides what the model answers; raises ModelError for a bad one."""
    manifest = _json(file, MANIFEST_BYTES, str.casefold)  # Ollama takes `Layers` for `layers`
    rows = manifest.get("layers")
    if not isinstance(rows, list) or not 0 < len(rows) <= LAYERS:
        raise ModelError("it names no layers")
    layers = [_layer(row) for row in (*rows, manifest.get("config"))]
    return [[role, hexes] for role, hexes in layers if role]


def _layer(row: Any) -> tuple[str, str]:
    media, digest = (row.get("mediaType"), row.get("digest")) if isinstance(row, dict) else (None, None)
    match = _DIGEST.match(digest) if isinstance(media, str) and isinstance(digest, str) else None
    if match is None:
        raise ModelError("it names a layer without a digest")
    return ROLES.get(str(media).removeprefix(_MEDIA), SETTING), match[1]


def shards(file: BinaryIO) -> list[str]:
    """The names of all shards of safetensors, in order; raises ModelError if it names none, or what is elsewhere."""
    weights = _json(file, INDEX_BYTES, str).get("weight_map")
    names = set(weights.values()) if isinstance(weights, dict) and all(map(is_name, weights.values())) else set()
    if not 0 < len(names) <= SHARDS:
        raise ModelError("it names no shards")
    return sorted(names)


def _json(file: BinaryIO, most: int, same: Callable[[str], str]) -> dict[str, Any]:
    """The object that the file holds, without a key twice, as `same` tells: that could be read in two ways."""

    def once(pairs: Pairs) -> dict[str, Any]:
        if len({same(key) for key, _ in pairs}) != len(pairs):
            raise ModelError("it has a key twice")
        return dict(pairs)

    data = file.read(most + 1)
    if len(data) > most:
        raise ModelError(f"it is larger than {most} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ModelError("it is no JSON that can be read") from error
    if not isinstance(value, dict):
        raise ModelError("it is no JSON object")
    return value


def _no_number(said: str) -> None:
    raise ModelError(f"`{said}` is no number")
