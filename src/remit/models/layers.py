"""What a manifest may name, and how much of it: kept by its parser, and checked again in the parser's answer."""

import re
from pathlib import PurePath
from typing import Final

MANIFEST_BYTES: Final = 1 << 20
LAYERS: Final = 4096
INDEX_BYTES: Final = 64 << 20  # the index of a model of 100,000 tensors takes about 10 MB
SHARDS: Final = 1024
NAME_BYTES: Final = 255  # linux/limits.h NAME_MAX
ROLES: Final = {  # by Ollama's media type; another is a setting, and the licence decides nothing
    "model": "weights",
    "tensor": "weights",
    "projector": "weights",
    "template": "template",
    "adapter": "adapter",
    "license": "",
}
SETTING: Final = "setting"
_HEX = re.compile(r"[0-9a-f]{64}\Z")


def is_layer(row: object) -> bool:
    """Whether it is [role, hex digest]."""
    if not isinstance(row, list) or len(row) != 2 or not all(isinstance(one, str) for one in row):
        return False
    return row[0] in {*ROLES.values(), SETTING} - {""} and _HEX.match(row[1]) is not None


def is_name(said: object) -> bool:
    """Whether it is the name of a file that lies right beside the one that names it."""
    if not isinstance(said, str) or not said.isprintable() or said in {"", ".", ".."}:
        return False
    return PurePath(said).name == said and len(said.encode()) <= NAME_BYTES
