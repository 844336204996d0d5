"""The copy of Remit's code that system mode runs: root's, readable by everyone, written by nobody.

`/opt/remit/VERSION-DIGEST` is a virtual environment over the machine's interpreter or a copy of it. It is built
beside its place and renamed into it, so that a directory of that name is whole.
"""

import compileall
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import remit
from remit.errors import StateError
from remit.install.closure import closure, files
from remit.install.interpreter import VERSION, base, copy_interpreter, usable_in_place

SOURCE: Final = Path(remit.__file__).parent
NOBODY: Final = 65534
TRY_SECONDS: Final = 60.0
TRIED: Final = "import uvloop, remit.app, remit.cli, remit.control.daemon, remit.gateway.worker, remit.storage"
_COMMAND: Final = "#!{python} -I\nfrom remit.cli import main\n\nmain()\n"
_CONFIG: Final = "home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"


def name_of_copy() -> str:
    """The version, and 8 digits of a digest of all that would be copied: another build is another directory."""
    digest = hashlib.sha256(sys.version.encode())
    for known in closure():
        digest.update(f"{known.name} {known.version}\n".encode())
    for path, place in _own():
        digest.update(f"{place} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{remit.__version__}-{digest.hexdigest()[:8]}"


def copy_code(place: Path) -> None:
    """Build the copy at `place`, unless it is there; what a killed try left is cleared first."""
    draft = place.with_name(place.name + ".new")
    remove_tree(draft)
    if place.is_dir():
        return
    previous = os.umask(0o022)
    try:
        _build(draft, place)
    finally:
        os.umask(previous)
    os.sync()  # thousands of files: all of them are on disk before the name says that they are whole
    draft.rename(place)
    tried = subprocess.run(
        [place / "bin" / "python", "-I", "-c", TRIED],
        capture_output=True,
        text=True,
        timeout=TRY_SECONDS,
        check=False,
        cwd="/",
        user=NOBODY,  # who can't get to where the code was copied from
        group=NOBODY,
        extra_groups=[],
    )
    if tried.returncode != 0:
        remove_tree(place)
        said = (tried.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StateError(f"the copy of the code does not start: {said}", hint="what runs now is as it was")


def remove_tree(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)


def _build(draft: Path, place: Path) -> None:
    packages = draft / "lib" / VERSION / "site-packages"
    packages.mkdir(parents=True)
    for path, below in _all():
        target = packages / below
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        shutil.copystat(path, target)
    interpreter = base()
    if not usable_in_place():
        copy_interpreter(draft / "python")
        interpreter = place / "python" / "bin" / VERSION
    binaries = draft / "bin"
    binaries.mkdir()
    for name in ("python", "python3", VERSION):
        (binaries / name).symlink_to(interpreter)
    (draft / "pyvenv.cfg").write_text(_CONFIG.format(home=interpreter.parent, version=sys.version.split()[0]))
    (binaries / "remit").write_text(_COMMAND.format(python=place / "bin" / "python"))
    _make_roots(draft)
    compileall.compile_dir(draft, quiet=2, stripdir=str(draft), prependdir=str(place), workers=0)
    _make_roots(draft)


def _all() -> Iterator[tuple[Path, Path]]:
    for known in closure():
        if known.name == "remit":
            yield from ((path, below) for path, below in files(known) if below.parts[0].endswith(".dist-info"))
        else:
            yield from files(known)
    yield from _own()


def _own() -> Iterator[tuple[Path, Path]]:
    """Remit's own package, wherever it runs from (an editable install lists none of its files)."""
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, path.relative_to(SOURCE.parent)


def _make_roots(top: Path) -> None:
    """Root's; readable by everyone; executable where it was, and in bin; writable by root alone."""
    for at, directories, names in os.walk(top):
        for name in (*directories, *names, "."):
            path = Path(at, name)
            os.lchown(path, 0, 0)
            if path.is_symlink():
                continue
            runs = path.is_dir() or path.parent.name == "bin" or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
