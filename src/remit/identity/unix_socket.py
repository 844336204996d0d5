"""A listening unix socket at a path: private from its first moment, never taken from a server that still answers."""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.identity.disk_hints import hint

MAX_PATH_BYTES: Final = 107  # unix(7): sun_path is 108 bytes with its final NUL
BACKLOG: Final = 128
_ANSWER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A bound, listening socket and the file it made (`node` is its device and inode)."""

    path: Path
    socket: socket.socket
    node: tuple[int, int]

    @classmethod
    def bind(cls, path: Path, mode: int = 0o600, *, backlog: int = BACKLOG) -> "ListeningSocket":
        """Listen at `path`; raises StateError when it is too long, taken, or can't be made."""
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise StateError(
                f"the socket path `{path}` is longer than {MAX_PATH_BYTES} bytes", hint="use a shorter directory"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _clear_stale(path)
            # Linux gives the file the socket's own mode less the umask: no moment in which others could connect.
            os.fchmod(listener.fileno(), mode)
            listener.bind(str(path))
            path.chmod(mode)
            listener.listen(backlog)
            listener.setblocking(False)
            facts = path.lstat()
        except OSError as error:
            listener.close()
            raise StateError(f"can't listen at `{path}`: {error.strerror}", hint=hint(path.parent, error)) from error
        except StateError:
            listener.close()
            raise
        return cls(path, listener, (facts.st_dev, facts.st_ino))

    def remove(self) -> None:
        """Close it and remove its file, unless another server's file is there by now."""
        self.socket.close()
        try:
            facts = self.path.lstat()
        except FileNotFoundError:
            return
        if (facts.st_dev, facts.st_ino) == self.node:
            self.path.unlink(missing_ok=True)


def _clear_stale(path: Path) -> None:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise StateError(f"`{path}` is taken by something that is not a socket", hint="move it away")
    if _answers(path):
        raise StateError(f"`{path}` is taken: another server answers there", hint="stop it, or use another path")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether anybody listens at `path`; only a refused connection says that nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except (TimeoutError, BlockingIOError):  # its backlog is full
            return True
    return True
