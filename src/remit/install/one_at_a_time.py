"""One installation or uninstallation at a time: by a lock on the directory around the journal's."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from remit.errors import StateError
from remit.install.places import KEPT


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Raises StateError while another one runs; it is given up with this process, however that ends."""
    fd = os.open(KEPT.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateError(
            "another installation or uninstallation is under way", hint="wait until it is done"
        ) from None
