"""The writer: a record is on disk, hashed and signed before `record` returns. The only file that makes a Receipt.

One commit thread a log takes whatever is pending and makes of it one checkpoint and one durable write. No timer: a
lone record waits for nobody; while one write is under way the next batch gathers. The first error of the disk closes
the shard for good (after a failed sync the kernel may have dropped the pages: a retry would prove nothing).
"""

import asyncio
import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future as ThreadFuture
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from remit.audit.entry import Closed, Entry, Header, encode
from remit.audit.keys import Certificate, WriterKey, sync_directory
from remit.audit.note import Head, SignedHead
from remit.audit.opening import claim, previous, take_lock
from remit.audit.receipt import Receipt
from remit.audit.shard import MAX_BATCH, SUFFIX, Checkpoint, marks_of, writer_of
from remit.audit.space import Space, write_all
from remit.audit.tree import Tree, leaf_hash
from remit.audit.waiting import Answer, Pending, Turn, answer_all
from remit.errors import AuditError

NOTE_SECONDS: Final = 0.02  # how long a note may wait for a record to ride with; a record never waits
MAX_HAND_OVER: Final = 256  # records put on the queue at once: a batch stays within MAX_BATCH
_STOP: Final = None


class AuditLog:
    """One open shard. Made by `AuditLog.open`; usable from any thread and any event loop of this process."""

    def __init__(self, path: Path, fd: int, lock: int, key: WriterKey) -> None:
        self.path, self.shard = path, path.stem
        self._fd, self._lock, self._key = fd, lock, key
        self._tree, self._length = Tree(), 0
        self._space = Space(fd, self._fail)
        self._queue: SimpleQueue[list[Pending] | None] = SimpleQueue()
        self._turns: dict[asyncio.AbstractEventLoop, Turn] = {}
        self._gate = threading.Lock()
        self._closed = False
        self._failure: Exception | None = None
        self._head: SignedHead | None = None
        self._thread = threading.Thread(target=self._run, name=f"audit-{self.shard}", daemon=True)

    @classmethod
    def open(cls, directory: Path, key: WriterKey, certificate: Certificate, *, t: float, m: float) -> "AuditLog":
        """Start the shard that `certificate` names, after the writer's last one. Blocks for about 30 ms.

        Raises AuditError when the shard is there already, another process writes as this writer, or the disk
        does not take it.
        """
        writer = writer_of(certificate.shard)
        path = directory / (certificate.shard + SUFFIX)
        with _told(path):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = take_lock(directory, writer)
            try:
                header = encode(Header(certificate.to_dict(), previous(directory, writer), t, m))
                return cls._create(path, lock, key, header)
            except BaseException:
                os.close(lock)
                raise

    @classmethod
    def _create(cls, path: Path, lock: int, key: WriterKey, header: bytes) -> "AuditLog":
        """Make the shard under a hidden name, so that under its own it always has a header and a checkpoint."""
        draft = path.with_name(f".{path.name}.new")
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log = cls(path, fd, lock, key)
            log._commit([header])
            os.fsync(fd)
            claim(draft, path)
            sync_directory(path.parent)
        except BaseException:
            os.close(fd)
            raise
        finally:
            draft.unlink(missing_ok=True)
        log._thread.start()
        return log

    @property
    def head(self) -> SignedHead | None:
        """The last signed checkpoint that is on disk."""
        return self._head

    @property
    def failure(self) -> AuditError | None:
        """Why nothing can be written any more, or None."""
        return None if self._failure is None else self._refusal()

    async def record(self, entry: Entry, of: bytes) -> Receipt:
        """Write `entry` and return when it is durable. `of` is the digest of what the receipt will be good for.

        Raises AuditError when it can't be written; then nothing may move.
        """
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._join_turn(Pending(encode(entry), of, waiter, loop), loop)
        receipt: Receipt = await waiter
        return receipt

    def record_sync(self, entry: Entry, of: bytes) -> Receipt:
        """As `record`, for threads: blocks until the record is durable."""
        waiter: ThreadFuture[Receipt] = ThreadFuture()
        self._put(Pending(encode(entry), of, waiter))
        return waiter.result()

    def note(self, entry: Entry) -> None:
        """Write `entry` with the next record, or after NOTE_SECONDS without one; returns before it is durable.

        Raises AuditError when the log is known not to take it.
        """
        pending = Pending(encode(entry), b"")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread of its own: nothing to ride with
            self._put(pending)
        else:
            self._join_turn(pending, loop)

    def close(self, *, t: float, m: float) -> None:
        """Write what is pending and a last record, free the room ahead, give up the shard. Blocks; twice is fine.

        Raises AuditError when the last records could not be written.
        """
        with self._gate:
            if self._closed:
                return
            self._closed = True
            for turn in self._turns.values():
                self._hand_over(turn.records)
            self._turns.clear()
            self._queue.put([Pending(encode(Closed(t, m)), b"")])
            self._queue.put(_STOP)
        self._thread.join()
        self._space.settle()
        try:
            if self._failure is None:
                with _told(self.path):
                    os.ftruncate(self._fd, self._length)
                    os.fsync(self._fd)
        finally:
            os.close(self._fd)
            os.close(self._lock)
        if self._failure is not None:
            raise self._refusal()

    def _put(self, pending: Pending) -> None:
        with self._gate:
            self._check_open()
            self._queue.put([pending])

    def _join_turn(self, pending: Pending, loop: asyncio.AbstractEventLoop) -> None:
        """Hand records over once for each turn of their loop: each hand-over wakes the commit thread.

        One at a time, 64 callers made batches of 2.6 records, and the thread took the loop's place 5 times a request.
        """
        with self._gate:
            self._check_open()
            turn = self._turns.setdefault(loop, Turn())
            turn.records.append(pending)
            if pending.waiter is not None and not turn.soon:
                turn.soon = True
                loop.call_soon(self._end_turn, loop)
            elif len(turn.records) == 1:
                loop.call_later(NOTE_SECONDS, self._end_turn, loop)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._gate:
            turn = self._turns.pop(loop, None)
            if turn is not None:
                self._hand_over(turn.records)

    def _hand_over(self, records: list[Pending]) -> None:
        for start in range(0, len(records), MAX_HAND_OVER):
            self._queue.put(records[start : start + MAX_HAND_OVER])

    def _check_open(self) -> None:
        """After a failure or the close no record may slip in behind the thread's back; the gate is held."""
        if self._failure is not None:
            raise self._refusal()
        if self._closed:
            raise AuditError(f"audit shard `{self.path}` is closed")

    def _refusal(self) -> AuditError:
        """A fresh error for each waiter: one exception raised in many tasks would gather all their tracebacks."""
        return _refusal(self.path, self._failure)

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error

    def _run(self) -> None:
        """The commit thread, until the log is closed. It outlives a failure, to refuse whatever still comes."""
        running = True
        while running:
            batch, running = self._take()
            if batch:
                answer_all(self._committed(batch))

    def _take(self) -> tuple[list[Pending], bool]:
        """Wait for records, then take all that are there. False: these are the last."""
        batch: list[Pending] = []
        while not batch or (len(batch) <= MAX_BATCH - MAX_HAND_OVER and not self._queue.empty()):
            records = self._queue.get()
            if records is _STOP:
                return batch, False
            batch += records
        return batch, True

    def _committed(self, batch: list[Pending]) -> list[Answer]:
        """Commit `batch`; each record's receipt, or the reason why there is none."""
        if self._failure is None:
            first = self._tree.size
            try:
                leaves = self._commit([pending.stored for pending in batch])
            except Exception as error:  # noqa: BLE001 - this thread's outermost loop: who waits must not wait for ever
                self._fail(error)
            else:
                return [
                    (pending, Receipt(self.shard, index, leaf, pending.of))
                    for index, (pending, leaf) in enumerate(zip(batch, leaves, strict=True), first)
                    if pending.waiter is not None
                ]
        return [(pending, self._refusal()) for pending in batch if pending.waiter is not None]

    def _commit(self, stored: list[bytes]) -> list[bytes]:
        """Append these records and a checkpoint, durably; the leaf hashes. Raises OSError."""
        leaves = [leaf_hash(record) for record in stored]
        tree = self._tree.copy()
        tree.extend(leaves)
        head = Head(self._key.verifier.name, tree.size, tree.root())
        signature = self._key.sign(head.body())
        checkpoint = Checkpoint(head.size, head.root, signature, marks_of(leaves))
        data = b"\n".join([*stored, checkpoint.line()])
        self._space.reach(self._length + len(data))
        write_all(self._fd, data, self._length, os.RWF_DSYNC)
        if self._failure is not None:  # the room ahead could not be synced meanwhile: so may these pages
            raise self._failure
        self._tree, self._length = tree, self._length + len(data)
        self._head = SignedHead(head, signature)
        self._space.prepare(self._length)
        return leaves


def _refusal(path: Path, error: Exception | None) -> AuditError:
    reason = getattr(error, "strerror", None) or str(error)
    return AuditError(
        f"audit log `{path}` can't be written: {reason}",
        hint="nothing is let through until it can: free or repair the disk, run `remit audit verify`, restart remit",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """The disk's errors as ours."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error
