"""What to do when a file or directory that Remit needs can't be used: by the kernel's reason."""

import errno
from pathlib import Path
from typing import Final

_ANOTHER: Final = "give another directory with --state DIR"


def hint(path: Path, error: OSError) -> str:
    """Something to try; empty where the reason says it all."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return f"Remit must run as its owner: `ls -ld {path}` says who that is"
        case errno.EROFS:
            return f"its disk is mounted read-only: mount it writable, or {_ANOTHER}"
        case errno.ENOSPC | errno.EDQUOT:
            return f"make room on its disk, or {_ANOTHER}"
        case errno.ELOOP:
            return "put the file itself there, not a link to it"
        case errno.ENOENT:
            return "is its disk mounted?"
    return ""
