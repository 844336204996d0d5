"""SHA-256 of the executables that run, each hashed once: the cache is keyed by what the kernel says of the file."""

# As in descriptors.py, a Path object costs more than the call itself.
# ruff: noqa: PTH116, PTH123

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from remit.identity.attestation.shortage import is_shortage

MAX_EXECUTABLES: Final = 4096
MAX_EXECUTABLE_BYTES: Final = 4 << 30  # a sparse file of terabytes would hold the hashing thread for hours

Key = tuple[int, int, int, int, int]  # device, inode, size, mtime_ns, ctime_ns


class Digests:
    """A bounded cache of executables' digests; safe to share between threads."""

    def __init__(self, capacity: int = MAX_EXECUTABLES) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Key, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: str | Path) -> str | None:
        """Lower-case hex SHA-256 of the file behind `path`.

        None when it can't be read, is too large or was written to meanwhile. Give `/proc/PID/exe` itself, not where
        it points: that path may name another file by now. Blocks while hashing. Raises OSError when this machine is
        short of descriptors or memory: a program is not another one because nobody could look.
        """
        try:
            key = file_key(os.stat(path))
            known = self._recall(key)
            return known if known is not None else self._hash(path)
        except OSError as error:
            if is_shortage(error):
                raise
            return None

    def _hash(self, path: str | Path) -> str | None:
        with open(path, "rb", buffering=0) as file:
            before = file_key(os.fstat(file.fileno()))
            if before[2] > MAX_EXECUTABLE_BYTES:
                return None
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if file_key(os.fstat(file.fileno())) != before:
                return None  # written to while it was read: no digest names it
        self._remember(before, digest)
        return digest

    def _recall(self, key: Key) -> str | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _remember(self, key: Key, digest: str) -> None:
        with self._lock:
            self._known[key] = digest
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


def file_key(status: os.stat_result) -> Key:
    # ctime can't be set from user space: a file rewritten in place with its old mtime is still a different key.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


EXECUTABLES: Final = Digests()  # a file's digest is the same fact for every asker in this process
