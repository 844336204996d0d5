"""The directory of one run's sockets: held while the instance runs, rid of what a killed one left, gone at its end.

It may stand in /tmp, where anybody could have made it first: it is opened without following a link, and used only
when it is this user's own and nobody holds it.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.identity.disk_hints import hint

_ANOTHER: Final = "give another with --state DIR"
PRIVATE: Final = 0o700
SHARED: Final = 0o755
_DEMO: Final = "demo"  # the demonstration server's own socket is in it


class RunDirectory:
    """An open and locked directory; the lock ends with the process however it ends."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    @classmethod
    def hold(cls, path: Path, mode: int = PRIVATE) -> "RunDirectory":
        """Make `path`, or take over what a killed run left there; raises StateError when it is another's.

        `mode` is PRIVATE, or SHARED where others may pass through to its sockets.
        """
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise StateError(f"`{path}` can't be used: {error.strerror}", hint=_ANOTHER) from error
        held = cls(path, fd)
        try:
            _claim(path, fd, mode)
            held._clear()
        except StateError:
            os.close(fd)
            raise
        except OSError as error:
            os.close(fd)
            raise StateError(f"`{path}` can't be cleared: {error.strerror}", hint=hint(path, error)) from error
        return held

    def remove(self) -> None:
        """Take away what this run made, and the directory unless something else is in it."""
        self._clear()
        with contextlib.suppress(OSError):
            self._path.rmdir()
        os.close(self._fd)

    def _clear(self) -> None:
        """Remove sockets and notes, by the open directory: not by a path that may lead elsewhere by now.

        Not the note of a worker: whoever ends that process removes it.
        """
        for name in os.listdir(self._fd):  # noqa: PTH208 (pathlib has no directory that is open)
            mode = os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode
            if stat.S_ISSOCK(mode) or (stat.S_ISREG(mode) and _is_note(name)):
                os.unlink(name, dir_fd=self._fd)
            elif stat.S_ISDIR(mode) and name == _DEMO:
                self._clear_demo()

    def _clear_demo(self) -> None:
        demo = os.open(_DEMO, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            for name in os.listdir(demo):  # noqa: PTH208
                if stat.S_ISSOCK(os.stat(name, dir_fd=demo, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=demo)
        finally:
            os.close(demo)
        with contextlib.suppress(OSError):  # something else is in it
            os.rmdir(_DEMO, dir_fd=self._fd)


def _claim(path: Path, fd: int, mode: int) -> None:
    facts = os.fstat(fd)
    if facts.st_uid != os.geteuid():
        raise StateError(f"`{path}` is not a directory of yours", hint=_ANOTHER)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateError(f"`{path}` is in use by another Remit", hint=_ANOTHER) from None
    if stat.S_IMODE(facts.st_mode) != mode:
        os.fchmod(fd, mode)
    if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
        raise StateError(
            f"`{path}` is on a read-only disk: no socket can be made there",
            hint=hint(path, OSError(errno.EROFS, "")),
        )


def _is_note(name: str) -> bool:
    return name == "remit.json" or name.endswith(".new")
