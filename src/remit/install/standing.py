"""What stands at a path: a file with its bytes, a link, a directory or nothing; looked at, and put there."""

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from remit.errors import StateError

DRAFT: Final = (
    ".remit-new"  # beside a file while it is written; a name with a dot is skipped by sudoers.d and *.conf readers
)
MAX_BYTES: Final = 16 * 1024 * 1024  # of a file that is kept to be put back: /etc/passwd of 200,000 people

Kind = Literal["nothing", "file", "link", "directory"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One path's type, permission bits, owner and content (a link's is its target)."""

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    data: bytes = b""

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
            "data": base64.b64encode(self.data).decode(),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Standing":
        data = base64.b64decode(record["data"], validate=True)
        return cls(record["kind"], record["mode"], record["uid"], record["gid"], data)


NOTHING: Final = Standing("nothing")


def look(path: Path) -> Standing:
    """What is at `path` now, links not followed; raises StateError for what is none of these."""
    try:
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    mode, uid, gid = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
    if stat.S_ISLNK(facts.st_mode):
        return Standing("link", 0o777, uid, gid, os.fsencode(path.readlink()))
    if stat.S_ISDIR(facts.st_mode):
        return Standing("directory", mode, uid, gid)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES:
        raise StateError(f"`{path}` is no plain file", hint="move it away and run this again")
    return Standing("file", mode, uid, gid, path.read_bytes())


def put(path: Path, standing: Standing) -> None:
    """Make `standing` stand at `path`, atomically, and durably when it returns.

    A directory that is to be nothing goes only when it is empty: raises OSError (ENOTEMPTY) otherwise.
    """
    draft = path.with_name(path.name + DRAFT)
    clear_draft(path)
    match standing.kind:
        case "nothing":
            _remove(path)
        case "directory":
            path.mkdir(exist_ok=True)
            _owned(path, standing)
        case "link":
            draft.symlink_to(os.fsdecode(standing.data))
            os.lchown(draft, standing.uid, standing.gid)
            draft.replace(path)
        case "file":
            _write(draft, standing)
            draft.replace(path)
    if path.parent.is_dir():
        sync(path.parent)


def clear_draft(path: Path) -> None:
    """Remove what a killed `put` left beside `path`."""
    path.with_name(path.name + DRAFT).unlink(missing_ok=True)


def sync(directory: Path) -> None:
    """Make the names in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _write(draft: Path, standing: Standing) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(standing.data)
        os.fchown(fd, standing.uid, standing.gid)
        os.fchmod(fd, standing.mode)
        file.flush()
        os.fsync(fd)


def _owned(path: Path, standing: Standing) -> None:
    os.lchown(path, standing.uid, standing.gid)
    path.chmod(standing.mode)
