"""Which file holds the weights of a model that a server offers: by the kernel's word, else by the server's."""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from remit.inventory.fingerprints import Fingerprint
from remit.inventory.workload import DIGEST_HASHING, Model
from remit.models import ModelFile, mapped_model_files, model_file_at

REPLACED: Final = "the weights on disk were replaced since they were loaded: digest unknown"
SEVERAL: Final = "several model files are loaded and none is named as the model's: digest unknown"
ITS_WORD: Final = "its weights are known by its own word only: the kernel doesn't show them loaded"

SINGLE: Final = {"gguf", "ggml", "safetensors"}  # formats whose weights can be one file

Weighed = tuple[tuple[Model, ...], tuple[tuple[str, ModelFile], ...], tuple[str, ...]]


def weigh(server: Fingerprint, pids: tuple[int, ...]) -> Weighed:
    """The models with their file where it is known, (name, file) of each to be hashed, and notes. Blocks for `/proc`.

    Known is the one model of a server whose process has one model file loaded (llama.cpp and what is built on
    it). Ollama says digests itself; others load in another process or from many files, and stay unknown.
    """
    if server.server == "ollama" or len(server.models) > 1:
        return server.models, (), ()
    file, note = _file(server.claimed_path, pids)
    if file is None:
        return server.models, (), (note,) if note else ()
    model = server.models[0] if server.models else Model(PurePath(file.path).stem)
    known = replace(model, digest=DIGEST_HASHING, path=file.path)
    return (known,), ((known.name, file),), (note,) if note else ()


def _file(claimed: str | None, pids: tuple[int, ...]) -> tuple[ModelFile | None, str]:
    loaded = [file for pid in pids for file in mapped_model_files(pid) or () if file.format in SINGLE]
    path = _absolute(claimed, pids)
    named = [file for file in loaded if path is not None and _same(file.path, path)]
    choice = named or loaded
    if len({file.node for file in choice}) > 1:
        return None, SEVERAL
    if choice:
        return (choice[0], "") if choice[0].current else (None, REPLACED)
    told = model_file_at(path, pids[0] if pids else None) if path is not None else None
    return told, ITS_WORD if told is not None else ""


def _absolute(path: str | None, pids: tuple[int, ...]) -> str | None:
    """A path as the server's process sees it; relative ones are taken from where it stands."""
    if path is None or path.startswith("/"):
        return path
    try:
        return str(Path(f"/proc/{pids[0]}/cwd").readlink() / path)
    except (OSError, IndexError):
        return None


def _same(one: str, other: str) -> bool:
    """Whether both name one file; the kernel shows a mapped file's path without symbolic links."""
    try:
        return one == other or Path(one).samefile(other)
    except OSError:
        return False
