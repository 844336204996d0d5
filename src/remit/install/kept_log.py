"""The log that an uninstallation left: known again by the next one, and removed when that is asked for."""

import os
import shutil
import stat
from pathlib import Path
from typing import Final

from remit.install import owning

LOG: Final = ("audit",)


def is_left(state: Path) -> bool:
    """Whether `state` holds nothing but a log that an uninstallation gave to root: it was not there before Remit."""
    try:
        facts = state.lstat()
        names = tuple(path.name for path in state.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == 0 and names == LOG


def keep(state: Path) -> tuple[Path, ...]:
    """Give it to root, as its uid may be another account's some day; what of it there is."""
    kept = tuple(path for name in LOG if (path := state / name).is_dir())
    for top in kept:
        owning.take(top)
    if kept:
        os.chown(state, owning.ROOT, owning.ROOT)
    return kept


def remove(state: Path) -> bool:
    """Remove one that was left; whether there was one."""
    if not is_left(state):
        return False
    shutil.rmtree(state)
    return True
