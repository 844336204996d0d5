"""The interpreter below an installation: the machine's own where nobody else can change it, else a copy.

A copy is what python-build-standalone and pyenv lay out: bin, lib/pythonX.Y, and shared libraries in lib.
"""

import os
import shutil
import stat
import sys
import sysconfig
from pathlib import Path
from typing import Final

from remit.install.places import OPT

# What no part of Remit imports; a copy without them is a third as big.
LEFT_OUT: Final = (
    "site-packages",
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "tkinter",
    "turtledemo",
)
VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


def base() -> Path:
    """The real interpreter below this one's virtual environment."""
    return Path(sys.base_prefix).resolve() / "bin" / VERSION


def for_everyone(path: Path) -> bool:
    """Whether `path` and every directory to it is root's, not writable by others, and everybody can get there."""
    for step in (path, *path.parents):
        facts = step.stat()
        if facts.st_uid != 0 or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or not facts.st_mode & stat.S_IXOTH:
            return False
    return True


def usable_in_place() -> bool:
    """Whether the machine's own interpreter and its library do; an earlier installation's goes with that one."""
    if base().is_relative_to(OPT):
        return False
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    return all(for_everyone(path.resolve()) for path in (base(), library, library / "encodings"))


def copy_interpreter(into: Path) -> Path:
    """Copy the interpreter to `into`; its executable there."""
    home, library = Path(sys.base_prefix).resolve(), into / "lib"
    (into / "bin").mkdir(parents=True)
    _copy_binary(base().resolve(), into / "bin" / VERSION, home)
    shutil.copytree(home / "lib" / VERSION, library / VERSION, ignore=_left_out, symlinks=False)
    (library / VERSION / "site-packages").mkdir()
    for shared in sorted((home / "lib").glob("lib*.so*")):
        if shared.is_symlink():
            (library / shared.name).symlink_to(os.path.basename(shared.readlink()))  # noqa: PTH119 (a link's own name)
        else:
            _copy_binary(shared, library / shared.name, home)
    return into / "bin" / VERSION


def _copy_binary(path: Path, target: Path, home: Path) -> None:
    """Where it looks for its libraries in the first home (DT_RPATH), the copy looks beside itself (ld.so(8)).

    Otherwise whoever can't get to the first home would be given the machine's own library of that name.
    """
    data, before = path.read_bytes(), b"\0" + os.fsencode(home / "lib") + b"\0"
    beside = b"\0$ORIGIN/../lib"
    if len(beside) < len(before):
        data = data.replace(before, beside.ljust(len(before), b"\0"))
    target.write_bytes(data)


def _left_out(directory: str, names: list[str]) -> set[str]:
    return {
        name for name in names if name in LEFT_OUT or (name.startswith("config-") and directory.endswith(VERSION))
    }
