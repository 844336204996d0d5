"""A machine that is short of descriptors or memory can't be asked who calls: that is said, and nobody is let in."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from remit.errors import AttestationError

_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def is_shortage(error: OSError) -> bool:
    """Whether it says nothing about who is asked for: then it must not be taken for "there is no such file"."""
    return error.errno in _SHORT


@contextmanager
def told() -> Iterator[None]:
    """Whatever the kernel refuses to tell becomes an AttestationError that says why."""
    try:
        yield
    except OSError as error:
        raise refused(error) from error


def refused(error: OSError) -> AttestationError:
    return AttestationError(
        f"who is calling can't be found out now: {error.strerror}",
        hint="try again shortly; the owner can raise the limit on open files (`ulimit -n`)",
    )
