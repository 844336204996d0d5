"""The policy directory on disk, made for git: read it within bounds, and write the starter policies once."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from remit.errors import PolicyError
from remit.policy.catalogue import NAME as CATALOGUE
from remit.policy.profiles import PLACE, is_profile
from remit.policy.schema import STARTER_TEXT
from remit.policy.snapshot import PolicyFile
from remit.policy.source import Source
from remit.tasks.profile import starters

SUFFIX: Final = ".cedar"
STARTER_NAME: Final = "starter.cedar"
MAX_FILES: Final = 1_000
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_TOTAL_BYTES: Final = 2 * 1024 * 1024  # a Snapshot carries all of them, up to 6 times longer in JSON, in 16 MiB


def read_directory(path: Path) -> tuple[PolicyFile, ...]:
    """Every `*.cedar` file right inside `path`, the catalogue, and the profiles in `profiles` below it, by name.

    Raises PolicyError for one that can't be trusted or read.

    Files whose name starts with a dot are left out. Refused: what anybody on this host may write, a link that
    leads out of the directory, anything but a plain UTF-8 file, more than the bounds above.
    """
    home = path.resolve()
    names = _names(home, "", _counts)
    if (home / PLACE).exists():
        names += _names(home, PLACE, is_profile)
    if len(names) > MAX_FILES:
        raise _refused(path, f"more than {MAX_FILES} policy files")
    files, total = [], 0
    for name in sorted(names):
        data = _read(home, name)
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            raise _refused(home / name, f"the policies are larger than {MAX_TOTAL_BYTES} bytes together")
        files.append(PolicyFile(name, _decoded(name, data)))
    return tuple(files)


def _names(home: Path, below: str, counts: Callable[[str], bool]) -> list[str]:
    """Of the files in a directory that count, relative to `home`."""
    folder = home / below
    try:
        _not_for_everybody(folder.stat(), folder)
        return [below + entry.name for entry in folder.iterdir() if counts(below + entry.name)]
    except OSError as error:
        raise _refused(folder, f"the policy directory can't be read ({error.strerror})") from None


def write_starter(path: Path) -> bool:
    """Make `path` with the starter policies and profiles, unless any policy is there; says whether it wrote."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(entry.name.endswith(SUFFIX) and _counts(entry.name) for entry in path.iterdir()):
        return False
    with contextlib.suppress(FileExistsError), (path / STARTER_NAME).open("x", encoding="utf-8") as file:
        file.write(STARTER_TEXT)
        os.fchmod(file.fileno(), 0o644)
        _write_profiles(path / PLACE)
        return True
    return False


def _write_profiles(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in starters().items():
        with contextlib.suppress(FileExistsError), (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)


def _counts(name: str) -> bool:
    return (name.endswith(SUFFIX) and not name.startswith(".")) or name == CATALOGUE


def _read(home: Path, name: str) -> bytes:
    """The bytes of one file, all checks made on the file that was opened, not on its name."""
    file = home / name
    if not name.isprintable():
        raise _refused(home, f"the name {name!r} can't be shown")
    if not file.resolve().is_relative_to(home):
        raise _refused(file, "the link leads out of the policy directory")
    try:
        descriptor = os.open(file.resolve(), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise _refused(file, f"can't be read ({error.strerror})") from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _refused(file, "this is no plain file")
        _not_for_everybody(facts, file)
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise _refused(file, f"larger than {MAX_FILE_BYTES} bytes")
    return data


def _not_for_everybody(facts: os.stat_result, path: Path) -> None:
    if facts.st_mode & stat.S_IWOTH:
        raise _refused(path, "everybody on this host may write it", hint="take the write permission of others away")


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = Source(name, data[: error.start].decode("utf-8"))
        raise readable.error("this is no UTF-8", len(readable.text)) from None


def _refused(path: Path, message: str, hint: str = "") -> PolicyError:
    return PolicyError(message, file=str(path), line=1, column=1, hint=hint)
