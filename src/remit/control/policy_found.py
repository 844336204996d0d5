"""What was found where policies come from, and the mark by which another look is spared."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from remit.policy import PolicyFile, PolicySet

# What changed less long ago may change once more within one tick of the file system's clock (ext4: 4 ms; FAT: 2 s).
SETTLED_SECONDS: Final = 3.0

Mark = tuple[object, ...] | None
"""Equal ones: nothing was written in between. None is equal to nothing: look again."""


@dataclass(frozen=True, slots=True)
class Found:
    """Policies that load. `bundle` says who signed them, as what serial, over what; empty for a directory's."""

    files: tuple[PolicyFile, ...]
    policies: PolicySet
    bundle: Mapping[str, Any] = field(default_factory=dict)


def mark_of(paths: Iterable[Path], now: float) -> Mark:
    """At `now` (Unix seconds). What can't be seen is a mark too: it is there again when it looks otherwise."""
    rows: list[tuple[object, ...]] = []
    for path in paths:
        try:
            at = os.stat(path)  # noqa: PTH116 (the files are followed as they are read)
        except OSError as error:
            rows.append((str(path), error.errno))
            continue
        if at.st_ctime > now - SETTLED_SECONDS:
            return None
        rows.append((str(path), at.st_dev, at.st_ino, at.st_size, at.st_mode, at.st_mtime_ns, at.st_ctime_ns))
    return tuple(rows)
