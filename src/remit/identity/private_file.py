"""A file that only its owner can read: written whole or not at all, refused when others could have read it."""

import glob
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.identity.disk_hints import hint

MAX_BYTES: Final = 1 << 20  # an authority with a handful of keys is under 10 KiB


def write_private(path: Path, content: bytes) -> None:
    """Put `content` at `path`, mode 0600, in one rename, durably. Makes the directory (0700) when it is missing.

    Raises StateError when the directory is open to others or can't be written.
    """
    spare = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(path.parent)
        try:
            _write_new(spare, content)
            spare.replace(path)
        finally:
            spare.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise StateError(f"can't write `{path}`: {error.strerror}", hint=hint(path.parent, error)) from error


def clear_spares(path: Path) -> None:
    """Remove what a killed `write_private` left beside `path`; raises StateError. For its one writer."""
    try:
        for spare in path.parent.glob(f".{glob.escape(path.name)}.*"):
            spare.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"can't clear `{path.parent}`: {error.strerror}", hint=hint(path.parent, error)) from error


def read_private(path: Path) -> bytes:
    """The bytes at `path`; raises StateError unless it is a plain file that only this user can read."""
    try:
        _check_directory(path.parent)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_file(path, os.fstat(descriptor))
            content = os.read(descriptor, MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateError(f"can't read `{path}`: {error.strerror}", hint=hint(path, error)) from error
    if len(content) > MAX_BYTES:
        raise StateError(f"`{path}` is longer than {MAX_BYTES} bytes: it is not a key file")
    return content


def _check_file(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise StateError(f"`{path}` is not a plain file")
    if facts.st_uid != os.geteuid():
        raise StateError(
            f"`{path}` belongs to uid {facts.st_uid}, not to you (uid {os.geteuid()})",
            hint="start Remit as that user, or give another directory with --state DIR",
        )
    if facts.st_mode & 0o077:
        raise StateError(
            f"`{path}` can be read by others (mode {stat.S_IMODE(facts.st_mode):04o}): its keys may be known",
            hint=f"if nobody else has read it: chmod 600 {path}; else remove it, and new keys are made",
        )


def _check_directory(directory: Path) -> None:
    facts = directory.stat()
    if facts.st_uid not in {os.geteuid(), 0}:
        raise StateError(
            f"`{directory}` belongs to uid {facts.st_uid}, not to you (uid {os.geteuid()})",
            hint="start Remit as that user, or give another directory with --state DIR",
        )
    if facts.st_mode & 0o077:
        raise StateError(
            f"`{directory}` is open to others (mode {stat.S_IMODE(facts.st_mode):04o}): it holds keys",
            hint=f"chmod 700 {directory}",
        )


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
