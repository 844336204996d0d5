"""Hashes model files in the background, one at a time: a large model must not keep the guard from starting."""

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from remit.errors import ModelError
from remit.models.digest import DigestCache, digest_file

QUEUED_FILES: Final = 4096
CLOSE_SECONDS: Final = 5.0  # one read of 2 MiB from a slow disk is over long before


@dataclass(frozen=True, slots=True)
class _Job:
    path: str
    node: tuple[int, int] | None
    done: Callable[[str], None]
    failed: Callable[[ModelError], None]


class Hasher:
    """One background thread. Use as a context manager, or call `close`.

    `submit` calls back exactly once for every file, on the hasher's thread, unless the hasher is closed first: then
    jobs still queued fail. An asyncio caller hands over with `loop.call_soon_threadsafe`.
    """

    def __init__(self, cache: DigestCache | None = None) -> None:
        self.cache = cache or DigestCache()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUED_FILES)
        self._closing, self._door = threading.Event(), threading.Lock()
        self._state: tuple[str, int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="remit-hasher", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Hasher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> tuple[str, int, int] | None:
        """(path, bytes done, bytes in all) of the file being hashed now, if any."""
        return self._state

    def submit(
        self,
        path: str,
        done: Callable[[str], None],
        failed: Callable[[ModelError], None],
        *,
        node: tuple[int, int] | None = None,
    ) -> None:
        """Queue `path`; `node` as for `digest_file`. Raises ModelError when closed or too much is queued."""
        with self._door:
            if self._closing.is_set():
                raise ModelError("the hasher is closed")
            try:
                self._jobs.put_nowait(_Job(path, node, done, failed))
            except queue.Full as error:
                raise ModelError(f"more than {QUEUED_FILES} model files are waiting to be hashed") from error

    def close(self) -> None:
        """Stop after the current read. Jobs that did not finish fail."""
        with self._door:
            self._closing.set()
            with contextlib.suppress(queue.Full):  # then the thread has a job, and sees the flag before the next one
                self._jobs.put_nowait(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._hash(job)
            if self._closing.is_set():
                break
        while not self._jobs.empty():
            if (job := self._jobs.get_nowait()) is not None:
                job.failed(ModelError(f"hashing `{job.path}` was stopped"))

    def _hash(self, job: _Job) -> None:
        def progress(done: int, total: int) -> None:
            self._state = (job.path, done, total)

        try:
            digest = digest_file(
                job.path, progress=progress, stop=self._closing.is_set, node=job.node, cache=self.cache
            )
        except ModelError as error:
            job.failed(error)
        else:
            job.done(digest)
        finally:
            self._state = None
