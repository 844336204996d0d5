"""One installation or uninstallation at a time: by a lock on a file that nobody but root can open."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from remit.errors import StateError
from remit.install.places import LOCK


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Raises StateError while another one runs; it is given up with this process, however that ends."""
    fd = _held()
    try:
        yield
    finally:
        LOCK.unlink(missing_ok=True)
        os.close(fd)


def _held() -> int:
    """The file, locked; it may have been removed between the two, by the one that was done with it."""
    while True:
        fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise StateError(
                "another installation or uninstallation is under way", hint="wait until it is done"
            ) from None
        if LOCK.exists() and os.path.samestat(LOCK.stat(), os.fstat(fd)):
            return fd
        os.close(fd)
