"""Whether an instance runs on a state directory: its control process holds a lock there until it ends."""

import fcntl
import json
import os
from pathlib import Path
from typing import Final

from remit.config import Places
from remit.errors import StateError
from remit.identity.plain_file import read_plain

MAX_RUN_FILE_BYTES: Final = 64 << 10


def running_pid(places: Places) -> int | None:
    """The control process of the instance, 0 when it does not say its number yet, None when none runs."""
    try:
        fd = os.open(places.state / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(places.run_file)
    finally:
        os.close(fd)
    return None


def refuse_while_running(places: Places, hint: str) -> None:
    """Raises StateError naming the process while one runs."""
    pid = running_pid(places)
    if pid is not None:
        raise StateError(f"remit runs here (pid {pid or 'unknown yet'})", hint=hint)


def _told(run_file: Path) -> int:
    try:
        facts = json.loads(read_plain(run_file, MAX_RUN_FILE_BYTES))
        return int(facts["pid"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
