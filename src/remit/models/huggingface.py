"""Models as directories: the shards of safetensors that an index names, and Hugging Face's cache of snapshots."""

import os
import re
from pathlib import Path, PurePath
from typing import Final

from remit.errors import ModelError
from remit.models import behind_walls
from remit.models.behind_walls import read
from remit.models.files import ModelFile, named_file
from remit.models.layers import SHARDS, is_name

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
TEMPLATES: Final = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
SETTINGS: Final = ("config.json", "generation_config.json", "tokenizer.json")
_BLOB = re.compile(r"[0-9a-f]{64}\Z")  # a large file's blob is named by its SHA-256, a small one's by git's SHA-1
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?\Z")
_REVISION = re.compile(r"[\w.-]{1,128}\Z")


def snapshot(cache: str, repository: str, revision: str = "main", pid: int | None = None) -> str:
    """The directory of a repository's snapshot in the hub's cache at `cache`; raises ModelError for none."""
    if not _REPOSITORY.match(repository) or ".." in repository or not _REVISION.match(revision) or revision == "..":
        raise ModelError(f"`{repository}` is no repository of models")
    home = f"{cache}/models--{repository.replace('/', '--')}"
    seen = _seen(home, pid)
    commit = revision
    try:
        with (Path(seen) / "refs" / revision).open() as file:
            commit = file.read(128).strip()
    except (OSError, ValueError):
        pass  # a revision may be the commit itself
    there = os.path.isdir(f"{seen}/snapshots/{commit}")  # noqa: PTH112 (false where it isn't shown)
    if not _REVISION.match(commit) or commit in {".", ".."} or not there:
        raise ModelError(f"`{repository}` is not in the cache of models")
    return f"{home}/snapshots/{commit}"


def directory_files(directory: str, pid: int | None = None) -> tuple[ModelFile, ...]:
    """The files that make up the model in `directory`: every shard by name, its template and settings, its index.

    Raises ModelError when one that the index names can't be read: a model that is known in part is unknown.
    """
    index = named_file(f"{directory}/{INDEX}", pid, "watched")
    names = _shards(index.reading) if index is not None else [SINGLE]
    files = [_file(directory, name, "weights", pid) for name in names]
    if missing := [name for name, file in zip(names, files, strict=True) if file is None]:
        raise ModelError(f"`{missing[0]}` of the model in `{PurePath(directory).name}` can't be read")
    template = next((one for name in TEMPLATES if (one := _file(directory, name, "template", pid))), None)
    settings = [_file(directory, name, "setting", pid) for name in SETTINGS]
    return tuple(one for one in (*files, template, *settings, index) if one is not None)


def _file(directory: str, name: str, role: str, pid: int | None) -> ModelFile | None:
    return named_file(path := f"{directory}/{name}", pid, role, _claim(path, pid))


def _claim(path: str, pid: int | None) -> str | None:
    """The digest that the name of a cached blob promises: a snapshot holds links to `../../blobs/<digest>`."""
    try:
        blob = Path(_seen(path, pid)).readlink()
    except OSError:
        return None
    return f"sha256:{blob.name}" if blob.parent.name == "blobs" and _BLOB.match(blob.name) else None


def _shards(reading: str) -> list[str]:
    """The names of all shards, in order; raises ModelError for an index that names none, or what is elsewhere."""
    try:
        said = read(behind_walls.INDEX, reading)
    except ModelError as error:
        raise ModelError(f"the index `{INDEX}` can't be read") from error
    names = [one for one in said if is_name(one)] if isinstance(said, list) else []
    if not 0 < len(names) <= SHARDS or len(names) != len(said) or names != sorted(set(names)):
        raise ModelError(f"the index `{INDEX}` can't be read")
    return names


def _seen(path: str, pid: int | None) -> str:
    return path if pid is None else f"/proc/{pid}/root{path}"
