"""The digest of one model file: streamed, stoppable, remembered for as long as the file is provably the same."""

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from remit.errors import ModelError
from remit.models import hidden

READ_BYTES: Final = 2 << 20  # hashes as fast as 4 MiB reads and stays in a core's cache
CACHED_FILES: Final = 4096
LARGE_SHARE: Final = 4  # a file of more than a quarter of memory is not left in the page cache
SETTLED_NS: Final = 2_000_000_000  # file systems stamp times as coarsely as 1-2 s (ext3, FAT)

Progress = Callable[[int, int], None]
Stop = Callable[[], bool]


class FileState(NamedTuple):
    """What must be unchanged for a file to be taken for the same bytes. `changed_ns` can't be set by its owner."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def at(cls, path: str) -> "FileState | None":
        """The state of the file at `path` now: a cheap look whether a digest still stands. None when unreadable."""
        try:
            return cls.of(os.stat(path))  # noqa: PTH116
        except PermissionError:
            return cls._hidden(path)
        except OSError:
            return None

    @classmethod
    def _hidden(cls, path: str) -> "FileState | None":
        try:
            return cls(*hidden.sight().state(*hidden.inside(path)))
        except OSError:
            return None

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def unchanged(watched: Iterable[tuple[str, FileState]]) -> bool:
    """Whether each file is as it was: 1-2 µs a file."""
    return all(FileState.at(path) == state for path, state in watched)


class DigestCache:
    """Digests of files that have not changed since, in memory. Thread-safe. `KeptDigests` keeps them on disk too."""

    def __init__(self) -> None:
        self._known: dict[FileState, str] = {}
        self._lock = threading.Lock()

    def get(self, state: FileState) -> str | None:
        with self._lock:
            return self._known.get(state)

    def put(self, state: FileState, digest: str, now_ns: int) -> None:
        """Remember; not a file that changed just now: a second write within one tick would leave its times alike."""
        if now_ns - max(state.changed_ns, state.modified_ns) < SETTLED_NS:
            return
        with self._lock:
            while len(self._known) >= CACHED_FILES:
                self._known.pop(next(iter(self._known)))
            self._known[state] = digest


def digest_file(
    path: str,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
    node: tuple[int, int] | None = None,
    cache: DigestCache | None = None,
) -> str:
    """`sha256:<hex>` of the file at `path`.

    `progress(done, total)` is called in bytes after every read, and reading ends when `stop()` is true. `node` is the
    (device, inode) the file must have: a server's weights may have been replaced at the same path. Raises ModelError
    when the file can't be read, is another one, changed while it was read, or reading was stopped.
    """
    try:
        with _opened(path) as descriptor:
            state = _settle(descriptor, path, node)
            known = cache.get(state) if cache is not None else None
            digest = known or _read(descriptor, path, state, progress, stop)
            if FileState.of(os.fstat(descriptor)) != state:
                raise ModelError(f"model file `{path}` changed while it was being hashed", hint="try again")
            if cache is not None and known is None:
                cache.put(state, digest, time.time_ns())
            return digest
    except PermissionError as error:
        return _digest_of_hidden(path, node, cache, error)
    except OSError as error:
        raise ModelError(f"can't read model file `{path}`: {error.strerror}") from error


def _digest_of_hidden(
    path: str, node: tuple[int, int] | None, cache: DigestCache | None, refused: PermissionError
) -> str:
    """By the word of who may read it; without progress, and not to be stopped."""
    try:
        where = hidden.inside(path)
        before = FileState(*hidden.sight().look(*where).state)
        known = cache.get(before) if cache is not None else None
        state, digest = (before, known) if known else hidden.sight().digest(*where)
    except OSError:
        raise ModelError(f"can't read model file `{path}`: {refused.strerror}") from refused
    if (node is not None and before[:2] != node) or tuple(state) != tuple(before):
        raise ModelError(f"`{path}` is no longer the file that was loaded", hint="restart the model server")
    if cache is not None and known is None:
        cache.put(before, digest, time.time_ns())
    return digest


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _settle(descriptor: int, path: str, node: tuple[int, int] | None) -> FileState:
    """The file's state once dirty pages are written back: from then on a store through a mapping stamps its times."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"`{path}` is not a regular file")
    if node is not None and (status.st_dev, status.st_ino) != node:
        raise ModelError(f"`{path}` is no longer the file that was loaded", hint="restart the model server")
    with contextlib.suppress(OSError):  # a file system that can't sync still hashes
        os.fsync(descriptor)
    return FileState.of(os.fstat(descriptor))


def _read(descriptor: int, path: str, state: FileState, progress: Progress | None, stop: Stop | None) -> str:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    # What is large would push everything else out of the page cache, and making room costs as much as hashing. Pages
    # that a server has mapped stay: the kernel drops only those that nobody uses.
    pass_by = state.size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // LARGE_SHARE
    digest, buffer, done = hashlib.sha256(), memoryview(bytearray(READ_BYTES)), 0
    while done <= state.size:  # a file that grows while it is read ends here and is refused as changed
        if stop is not None and stop():
            raise ModelError(f"hashing `{path}` was stopped")
        count = os.readv(descriptor, [buffer])
        if count == 0:
            break
        digest.update(buffer[:count])
        if pass_by:
            os.posix_fadvise(descriptor, done, count, os.POSIX_FADV_DONTNEED)
        done += count
        if progress is not None:
            progress(done, state.size)
    if done != state.size:
        raise ModelError(f"model file `{path}` changed while it was being hashed", hint="try again")
    return f"sha256:{digest.hexdigest()}"
