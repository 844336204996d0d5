"""The recipes of docs/federation.md as files: what is run is what is read."""

import re
from pathlib import Path

from tests.docs.pages import text

PAGE = "docs/federation.md"
_BLOCK = re.compile(r"<!-- ([\w.-]+) -->\n```\w*\n(.*?)```", re.DOTALL)

RECIPES = dict(_BLOCK.findall(text(PAGE)))


def write(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text(RECIPES[name])
