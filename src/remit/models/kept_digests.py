"""Digests of weights kept across restarts: a file under a keyed MAC, so that it can't be edited without the key."""

import contextlib
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Final

from remit.models.digest import CACHED_FILES, DigestCache, FileState

FORM: Final = "remit-weights-1"
FILE_BYTES: Final = CACHED_FILES * 256
_STATE_FIELDS: Final = len(FileState._fields)


class KeptDigests(DigestCache):
    """A DigestCache that is read from `path` at once, and written there whenever a digest is added.

    A file that isn't under `key`, is damaged or can't be read counts for nothing: everything is hashed again. What
    can't be written is kept in memory only. The MAC holds off who may write the file and not read the key: at
    grade C a process of the same uid may do both.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        super().__init__()
        self._path, self._key = path, hmac.digest(key, FORM.encode(), "sha256")
        for state, digest in self._read():
            self._known[state] = digest

    def put(self, state: FileState, digest: str, now_ns: int) -> None:
        before = self.get(state)
        super().put(state, digest, now_ns)
        if before is None and self.get(state) is not None:
            with contextlib.suppress(OSError):
                self._write()

    def _write(self) -> None:
        with self._lock:
            rows = [[*state, digest] for state, digest in self._known.items()]
        body = json.dumps(rows, separators=(",", ":")).encode()
        draft = self._path.with_suffix(".new")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._mac(body) + b"\n" + body)
        draft.replace(self._path)

    def _read(self) -> list[tuple[FileState, str]]:
        try:
            with self._path.open("rb") as file:
                mac, _, body = file.read(FILE_BYTES).partition(b"\n")
        except OSError:
            return []
        if not hmac.compare_digest(mac, self._mac(body)):
            return []
        rows = json.loads(body)  # ours: it is under the key
        return [(FileState(*row[:_STATE_FIELDS]), row[_STATE_FIELDS]) for row in rows]

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()
