"""Which files make up a model that a server offers: by the kernel's word, else by the server's."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from remit.errors import ModelError
from remit.identity.attestation.accounts import ACCOUNTS
from remit.identity.attestation.procfs import effective_uid
from remit.inventory.fingerprints import Fingerprint
from remit.inventory.model import DIGEST_HASHING, DIGEST_UNKNOWN, Model
from remit.models import ModelFile, digest_file, mapped_model_files, model_file_at
from remit.models.files import named_file
from remit.models.huggingface import directory_files, snapshot
from remit.models.launched import ADAPTERS, MODELS, TEMPLATES, arguments, environment, standing_at, values
from remit.models.ollama import ollama_files

REPLACED: Final = "the weights on disk were replaced since they were loaded: digest unknown"
SEVERAL: Final = "several model files are loaded and none is named as the model's: digest unknown"
ITS_WORD: Final = "its weights are known by its own word only: the kernel doesn't show them loaded"
UNREAD: Final = "its models' files can't be read here: what it says of their digests is its own word, and unknown"

SINGLE: Final = {"gguf", "ggml", "safetensors"}  # formats whose weights can be one file
_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf\Z")  # llama.cpp's gguf-split

Weighed = tuple[tuple[Model, ...], tuple[tuple[str, ModelFile], ...], tuple[str, ...]]


def weigh(server: Fingerprint, pids: tuple[int, ...]) -> Weighed:
    """The models with their file where it is known, (name, file) of all to be hashed, and notes. Blocks for `/proc`.

    Known is the one model of a server whose process has its files loaded or names them, and every model of Ollama's
    by its manifest. Others stay unknown: what a server says of its digests is its word.
    """
    if server.server == "ollama":
        return _of_ollama(server, pids)
    if len(server.models) > 1:
        return server.models, (), ()
    files, note = _files(server.claimed_path, pids)
    notes = (note,) if note else ()
    if not files:
        return server.models, (), notes
    model = server.models[0] if server.models else Model(PurePath(files[0].path).stem)
    known = replace(model, digest=DIGEST_HASHING, path=files[0].path, at_load=not files[0].loaded)
    return (known,), tuple((known.name, file) for file in (*files, *_beside(pids))), notes


def _of_ollama(server: Fingerprint, pids: tuple[int, ...]) -> Weighed:
    stored = {model.name: _stored(model, pids) for model in server.models}
    models = tuple(
        replace(model, digest=DIGEST_HASHING, path=stored[model.name][0].path, at_load=True)
        if stored[model.name]
        else replace(model, digest=DIGEST_UNKNOWN)
        for model in server.models
    )
    weights = tuple((name, file) for name, files in stored.items() for file in files)
    return models, weights, (UNREAD,) if not all(stored.values()) else ()


def _stored(model: Model, pids: tuple[int, ...]) -> tuple[ModelFile, ...]:
    """The files of one of its models; where its store isn't shown, by a manifest of the digest that it says."""
    told = _ollama_root(pids)
    root = told or _usual_root(pids)
    try:
        files = ollama_files(root, model.name, pids[0]) if root is not None else ()
        return files if told or not files or digest_file(files[-1].reading) == model.digest else ()
    except ModelError:
        return ()


def _ollama_root(pids: tuple[int, ...]) -> str | None:
    """Where an Ollama keeps its models: as it was told, else below the home it was started with."""
    if not pids:
        return None
    told = environment(pids[0], ("OLLAMA_MODELS", "HOME"))
    return told.get("OLLAMA_MODELS") or (_below(told["HOME"]) if "HOME" in told else None)


def _usual_root(pids: tuple[int, ...]) -> str | None:
    """Below its account's home: how another user's process was started is not shown to us."""
    try:
        home = ACCOUNTS.home(effective_uid(pids[0])) if pids else None
    except OSError:
        return None
    return None if home is None else _below(home)


def _below(home: str) -> str:
    return f"{home}/.ollama/models"


def _files(claimed: str | None, pids: tuple[int, ...]) -> tuple[tuple[ModelFile, ...], str]:
    """All files of the one model: loaded ones, else those that the server or its arguments name; and a note."""
    loaded = [file for pid in pids for file in mapped_model_files(pid) or () if file.format in SINGLE]
    path = _absolute(claimed, pids)
    named = [file for file in loaded if path is not None and _same(file.path, path)]
    choice = list({file.node: file for file in reversed(_parts(loaded, named) or named or loaded)}.values())
    if any(not file.current for file in choice):
        return ((), REPLACED) if len(choice) == 1 or _together(choice) else ((), SEVERAL)
    if len(choice) > 1 and not _together(choice):
        return (), SEVERAL
    if choice:
        return _whole(choice, pids), ""
    told = _told(path, pids)
    return told, ITS_WORD if told else ""


def _parts(loaded: list[ModelFile], named: list[ModelFile]) -> list[ModelFile]:
    """All loaded parts of the split model of which the server names the first."""
    split = _SPLIT.match(named[0].path) if len(named) == 1 else None
    if split is None:
        return []
    return [file for file in loaded if (one := _SPLIT.match(file.path)) and one.group(1, 3) == split.group(1, 3)]


def _together(files: Sequence[ModelFile]) -> bool:
    """Whether these are the parts of one model: of one split GGUF, or shards in one directory."""
    splits = [_SPLIT.match(file.path) for file in files]
    if all(splits):
        return len({split.group(1, 3) for split in splits if split is not None}) == 1
    return {file.format for file in files} == {"safetensors"} and len(
        {PurePath(one.path).parent for one in files}
    ) == 1


def _whole(loaded: Sequence[ModelFile], pids: tuple[int, ...]) -> tuple[ModelFile, ...]:
    """What is loaded, in order; with the rest of its directory where it is one shard or several of safetensors."""
    ordered = sorted(loaded, key=lambda file: file.path)
    if ordered[0].format == "safetensors":
        try:
            files = directory_files(str(PurePath(ordered[0].path).parent), pids[0])
        except ModelError:
            return tuple(ordered)
        return tuple(replace(file, loaded=True) for file in files)
    return tuple(ordered)


def _told(path: str | None, pids: tuple[int, ...]) -> tuple[ModelFile, ...]:
    """The files of a model that only a name leads to: of a file, a directory, or a repository in the hub's cache."""
    pid = pids[0] if pids else None
    if path is not None and (file := model_file_at(path, pid)) is not None:
        return (file,)
    given = arguments(pid) if pid is not None else None
    if pid is None or not given:
        return ()
    name = next(iter(values(given, MODELS)), given[1] if given[0] == "serve" and len(given) > 1 else "")
    try:
        return directory_files(_directory(name, given, pid), pid) if name else ()
    except ModelError:
        return ()


def _directory(name: str, given: Sequence[str], pid: int) -> str:
    path = _absolute(name, (pid,))
    if path is not None and os.path.isdir(f"/proc/{pid}/root{path}"):  # noqa: PTH112 (false where it isn't shown)
        return path
    told = environment(pid, ("HF_HUB_CACHE", "HF_HOME", "HOME"))
    home = told.get("HF_HOME") or f"{told.get('HOME', '')}/.cache/huggingface"
    return snapshot(
        told.get("HF_HUB_CACHE") or f"{home}/hub", name, next(iter(values(given, ("--revision",))), "main"), pid
    )


def _beside(pids: tuple[int, ...]) -> tuple[ModelFile, ...]:
    """Adapters and the chat template that the server was launched with, by its arguments."""
    given = arguments(pids[0]) if pids else None
    found = []
    for options, role in ((TEMPLATES, "template"), (ADAPTERS, "adapter")):
        for value in values(given or (), options):
            path = _absolute(re.sub(r":[\d.]+\Z", "", value), pids)
            file = named_file(path, pids[0], role) if path is not None else None
            found.append(file or ModelFile(value, value, (0, 0), "", current=False, role=role, loaded=False))
    return tuple(found)


def _absolute(path: str | None, pids: tuple[int, ...]) -> str | None:
    """A path as the server's process sees it; relative ones are taken from where it stands."""
    if path is None or path.startswith("/"):
        return path
    home = standing_at(pids[0]) if pids else None
    return f"{home}/{path}" if home is not None else None


def _same(one: str, other: str) -> bool:
    """Whether both name one file; the kernel shows a mapped file's path without symbolic links."""
    try:
        return one == other or Path(one).samefile(other)
    except (OSError, ValueError):  # a server may name what is no path at all
        return False
