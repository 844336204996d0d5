"""To whom what lies below a directory belongs, changed by root while the one it is taken from may still be about.

By open directories and open files alone, never by a path: where a name leads can be changed between two looks at it,
and what root gives away then would be a file of root's. A file that has another name elsewhere is left as it is.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = 0
_GONE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO})  # another stands there by now, or none
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def give(top: Path, uid: int, gid: int) -> list[Path]:
    """All below `top` is `uid`'s then, but for what is told: files that have another name."""
    return [top / name for name in _changed(top, uid, gid)]


def take(top: Path) -> None:
    """All below `top`, and itself, is root's then, but for files that have another name."""
    for _ in _changed(top, ROOT, ROOT):
        pass
    os.chown(top, ROOT, ROOT, follow_symlinks=False)


def _changed(top: Path, uid: int, gid: int) -> Iterator[str]:
    """Change what is to be changed, and tell of each file that can't be."""
    for at, directories, names, held in os.fwalk(top):
        below = os.path.relpath(at, top)
        for name in (*directories, *names):
            if not _change(name, held, uid, gid):
                yield os.path.join(below, name)  # noqa: PTH118 (a name to be told)


def _kept(facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)


def _change(name: str, held: int, uid: int, gid: int) -> bool:
    """False for a file that is to be changed and has another name. Links, sockets and the like stay as they are."""
    try:
        if not _kept(os.stat(name, dir_fd=held, follow_symlinks=False)):
            return True
        fd = os.open(name, _FLAGS, dir_fd=held)
    except OSError as error:
        if error.errno in _GONE:
            return True
        raise
    try:
        facts = os.fstat(fd)
        if not _kept(facts) or facts.st_uid == uid:
            return True
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
            return False
        os.fchown(fd, uid, gid)
    finally:
        os.close(fd)
    return True
