"""Puts files where others fetch them: each whole or as it was, none when the new ones don't all fit."""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from remit.errors import StateError, UsageError
from remit.identity.private_file import clear_spares


def publish(directory: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Put each of `files` (by its path below `directory`, in this order) there for all to read; those that changed.

    All are written beside their places, durably, before the first is renamed. One that is there already is left
    alone. Raises UsageError for a place that is no directory, StateError when it can't be written: then the old
    files are as they were, unless a rename between two of them failed.
    """
    paths = {directory / name: content for name, content in files.items()}
    try:
        _make(directory)
        with _held(directory):
            for path in paths:
                _make(path.parent)
                clear_spares(path)  # of a run that was killed: nobody else writes here while it is held
            changed = {path: content for path, content in paths.items() if _content(path) != content}
            _replace(changed)
    except OSError as error:
        raise StateError(
            f"can't publish in `{directory}`: {error.strerror}",
            hint="nothing was taken away: what was published before is still there",
        ) from error
    return list(changed)


def _make(directory: Path) -> None:
    """The directory, which others may read and only its owner or group write: who writes here speaks for us."""
    try:
        directory.mkdir(parents=True)
        directory.chmod(0o755)
    except FileExistsError:
        if not directory.is_dir():
            raise UsageError(
                f"`{directory}` is not a directory", hint="name one, or one that is to be made"
            ) from None
    except NotADirectoryError as error:
        raise UsageError(f"`{directory}` is below a file", hint="name a directory") from error
    if directory.stat().st_mode & stat.S_IWOTH:
        raise StateError(
            f"anybody on this machine can write in `{directory}`, and so could say which keys are ours",
            hint=f"chmod o-w {directory}",
        )


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """One run at a time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(files: Mapping[Path, bytes]) -> None:
    spares = {path: path.with_name(f".{path.name}.{secrets.token_hex(8)}") for path in files}
    try:
        for path, content in files.items():
            _write_new(spares[path], content)
        for path, spare in spares.items():
            spare.replace(path)
            _sync(path.parent)
    finally:
        for spare in spares.values():
            spare.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)  # whatever the umask: a web server of another user reads it
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
