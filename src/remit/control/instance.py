"""One instance's directories, its lock, and the file that says where it runs."""

import fcntl
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Final

from remit.errors import StateError
from remit.identity.disk_hints import hint
from remit.identity.plain_file import read_plain

STARTING_SECONDS: Final = 10.0
MAX_RUN_FILE_BYTES: Final = 64 << 10


def private_directory(path: Path) -> Path:
    """`path` as a directory that only this user can enter; raises StateError when it is another's."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise StateError(f"`{path}` is not a directory of yours", hint="give another with --state DIR")
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise StateError(f"`{path}` can't be used: {error.strerror}", hint="give another with --state DIR") from error
    return path


class Lock:
    """Held by the one control process of an instance, until it ends however it ends.

    Who doesn't get it waits a while for the winner to say where it runs.
    """

    def __init__(self, path: Path, run_file: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise _already(run_file) from None
        except OSError as error:
            raise StateError(f"`{path}` can't be locked: {error.strerror}", hint=hint(path, error)) from error

    def release(self) -> None:
        os.close(self._fd)


def write_run_file(path: Path, facts: dict[str, Any]) -> None:
    """Say where this instance runs; read by a second `up` and by `down`."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(facts))
    draft.chmod(0o600)
    draft.replace(path)


def read_run_file(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(read_plain(path, MAX_RUN_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _already(run_file: Path) -> StateError:
    deadline = time.monotonic() + STARTING_SECONDS
    while (facts := read_run_file(run_file)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if facts is None:
        return StateError("remit already runs here and is starting or stopping", hint="try again in a moment")
    where = ", ".join(facts["urls"]) or "nothing guarded"
    return StateError(
        f"remit already runs here (pid {facts['pid']}): {where}",
        hint="`remit status` shows it, `remit down` stops it",
    )
