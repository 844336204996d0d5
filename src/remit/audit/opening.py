"""Beginning a shard: one writer at a time, after the writer's last one, under a name that is not taken."""

import fcntl
import os
from pathlib import Path

from remit.audit.note import b64
from remit.audit.shard import Checkpoint, Previous, last_lines, read_opening, shards_in, writer_of
from remit.errors import AuditError


def claim(draft: Path, path: Path) -> None:
    """Give the draft its name, unless that is taken: unlike rename, a link replaces nothing."""
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise AuditError(
            f"audit shard `{path}` is there already", hint="start again: a shard is written once"
        ) from error


def take_lock(directory: Path, writer: str) -> int:
    """Be the only process that writes as `writer`; the lock goes with the process."""
    fd = os.open(directory / f".{writer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise AuditError(
            f"another process writes the audit log as `{writer}` in `{directory}`", hint="see `remit status`"
        ) from error
    return fd


def previous(directory: Path, writer: str) -> dict[str, object] | None:
    """The head of this writer's last shard: the one that no other follows, as clocks jump."""
    openings = {path: read_opening(path)[1] for path in shards_in(directory) if writer_of(path.stem) == writer}
    named = {opening.previous.shard for opening in openings.values() if opening.previous is not None}
    tips = [path for path in openings if path.stem not in named]
    if not tips:
        return None
    tip = max(tips, key=lambda path: openings[path].certificate.started)
    checkpoint = _last_checkpoint(tip)
    head = None if checkpoint is None else checkpoint.signed_head(openings[tip].certificate.origin)
    if (
        checkpoint is None
        or head is None
        or not openings[tip].certificate.key.signed(head.head.body(), head.signature)
    ):
        raise AuditError(
            f"audit shard `{tip}` has no checkpoint that its writer signed",
            hint="someone changed it: `remit audit verify` says where; move the directory aside to start a new log",
        )
    return Previous(tip.stem, checkpoint.size, b64(checkpoint.root)).to_dict()


def _last_checkpoint(path: Path) -> Checkpoint | None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return last_lines(fd, 0)[1]
    finally:
        os.close(fd)
