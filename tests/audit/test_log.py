"""The writer: durable before it answers, one checkpoint a batch, every failure of the disk final and told."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from remit.audit import AuditLog, Certificate, Receipt, RootKey, WriterKey, certify, shard_name
from remit.audit.read import tail
from remit.errors import AuditError, SpentError
from tests.audit.conftest import Book
from tests.audit.records import NOW, TRUST_DOMAIN, act, end, start


def test_a_record_is_on_disk_when_its_receipt_comes(book: Book) -> None:
    log = book.open()
    receipt = asyncio.run(log.record(start("01A"), b"permit digest"))
    assert b'"id":"01A"' in log.path.read_bytes()
    assert (receipt.shard, receipt.index) == (log.shard, 1)
    receipt.spend(b"permit digest")
    with pytest.raises(SpentError):
        receipt.spend(b"permit digest")
    book.close(log)


def test_many_at_once_share_checkpoints_and_keep_their_own_receipts(book: Book) -> None:
    log = book.open()

    async def all_at_once() -> list[Receipt]:
        return await asyncio.gather(*(log.record(start(f"id-{n}"), b"%d" % n) for n in range(500)))

    receipts = asyncio.run(all_at_once())
    book.close(log)
    assert [receipt.index for receipt in receipts] == list(range(1, 501))
    assert [receipt.of for receipt in receipts] == [b"%d" % n for n in range(500)]
    verdict = book.verify()
    assert verdict.records == 502
    assert verdict.shards[0].checkpoints < 20
    by_index = {record.index: record.data for record in tail(book.directory, 1000)}
    assert all(by_index[receipt.index]["id"] == f"id-{n}" for n, receipt in enumerate(receipts))


def test_threads_write_too(book: Book) -> None:
    log = book.open()
    receipts: list[Receipt] = []
    threads = [
        threading.Thread(target=lambda n=n: receipts.append(log.record_sync(act("enrolled", f"w{n}"), b"x")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book.close(log)
    assert sorted(receipt.index for receipt in receipts) == list(range(1, 9))
    assert book.verify().records == 10


def test_a_note_does_not_wait_for_company(book: Book) -> None:
    log = book.open()
    log.note(end("01A"))
    for _ in range(500):
        if b'"id":"01A"' in log.path.read_bytes():
            break
        threading.Event().wait(0.01)
    assert book.verify().records == 2
    book.close(log)


def test_notes_before_the_close_are_kept(book: Book) -> None:
    log = book.open()
    for n in range(3000):
        log.note(end(f"id-{n}"))
    book.close(log)
    verdict = book.verify()
    assert verdict.records == 3002
    assert verdict.shards[0].state == "closed"


def test_a_cancelled_waiter_harms_nobody(book: Book) -> None:
    log = book.open()

    async def hang_up() -> Receipt:
        gone = asyncio.ensure_future(log.record(start("gone"), b"a"))
        stays = asyncio.ensure_future(log.record(start("stays"), b"b"))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(hang_up()).of == b"b"
    book.close(log)
    assert book.verify().records == 4


def test_the_file_grows_in_zero_blocks_and_is_cut_at_the_close(book: Book) -> None:
    log = book.open()
    assert log.path.stat().st_size > 4_000_000
    assert log.path.stat().st_blocks * 512 >= 4_000_000
    for n in range(6000):
        log.note(start(f"id-{n}"))
    log.record_sync(start("last"), b"x")
    book.close(log)
    assert b"\0" not in log.path.read_bytes()
    assert log.path.stat().st_size > 4_000_000
    assert book.verify().records == 6003


def test_nothing_is_taken_after_the_close(book: Book) -> None:
    log = book.open()
    book.close(log)
    book.close(log)
    with pytest.raises(AuditError, match="closed"):
        log.note(end("01A"))
    with pytest.raises(AuditError, match="closed"):
        asyncio.run(log.record(start("01A"), b"x"))


def test_a_writer_goes_on_from_its_last_shard(book: Book) -> None:
    first = book.open()
    book.close(first)
    second = book.open()
    other = book.open("control")
    header = next(record.data for record in tail(book.directory, 9) if record.shard == second.shard)
    assert header["previous"]["shard"] == first.shard
    assert header["previous"]["size"] == 2
    book.close(second)
    book.close(other)
    assert len(book.verify().shards) == 3


def test_a_clock_that_jumps_back_does_not_break_the_chain(book: Book) -> None:
    for jump in (0.0, -500_000.0, 100.0, -9_000.0):
        book.now += jump
        log = book.open()
        log.record_sync(start("01A", t=book.now), b"x")
        book.close(log)
    verdict = book.verify()
    assert len(verdict.shards) == 4
    assert verdict.newest_age is not None
    assert verdict.newest_age < 0


def test_two_writers_of_one_name_exclude_each_other(book: Book) -> None:
    log = book.open()
    with pytest.raises(AuditError, match="another process writes"):
        book.open()
    book.close(log)
    book.now -= 3  # the very same shard name again
    with pytest.raises(AuditError, match="there already"):
        book.open()
    assert book.verify().records == 2


def test_two_processes_race_for_one_shard_name(book: Book) -> None:
    racers = [_child(book, "race") for _ in range(2)]
    said = sorted(racer.communicate(timeout=30)[0].split(b"\n")[0] for racer in racers)
    assert [line.split(b" ")[0] for line in said] == [b"opened", b"refused"]
    assert len(book.verify().shards) == 1


def test_a_full_disk_closes_the_shard_for_good(book: Book) -> None:
    """RLIMIT_FSIZE is the disk's end here: a write beyond it fails as the file's growth would."""
    log = book.open()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, old[1]))
    kept: list[Receipt] = []
    try:
        with pytest.raises(AuditError, match="can't be written") as refused:
            kept.extend(log.record_sync(start(f"id-{n}"), b"x") for n in range(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(log.path) in str(refused.value)
    assert "restart" in refused.value.hint
    assert log.failure is not None
    for _ in range(3):  # the disk has room again: too late for this shard
        with pytest.raises(AuditError, match="can't be written"):
            log.record_sync(start("later"), b"x")
    with pytest.raises(AuditError, match="can't be written"):
        log.note(end("later"))
    with pytest.raises(AuditError, match="can't be written"):
        book.close(log)
    verdict = book.verify()
    assert verdict.shards[0].state == "unfinished"
    assert verdict.records > max(receipt.index for receipt in kept)
    again = book.open()  # a restart starts a new shard after what is good of the old one
    book.close(again)
    assert len(book.verify().shards) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs takes root")
def test_a_real_full_disk(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("NOT RUN: no tmpfs can be mounted here")
    try:
        book = Book(place)
        log = book.open()
        kept: list[int] = []
        with pytest.raises(AuditError, match="No space left on device"):
            kept.extend(log.record_sync(start(f"id-{n}"), b"x").index for n in range(20_000))
        with pytest.raises(AuditError, match="No space left on device"):
            asyncio.run(log.record(start("later"), b"x"))
        with pytest.raises(AuditError, match="No space left on device"):
            book.close(log)
        assert book.verify().records > max(kept)
        with pytest.raises(AuditError, match="No space left on device"):
            book.open()
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("broken", ["/dev/full", "a pipe", "closed"])
def test_a_write_or_sync_error_is_final_for_all_who_wait(book: Book, broken: str) -> None:
    log = book.open()
    log.record_sync(start("good"), b"x")
    sound = os.dup(log._fd)
    if broken == "closed":
        os.close(log._fd)
    else:
        bad = os.open("/dev/full", os.O_RDWR) if broken == "/dev/full" else os.pipe()[1]
        os.dup2(bad, log._fd)

    async def all_at_once() -> list[Receipt | BaseException]:
        waiting = (log.record(start(f"id-{n}"), b"x") for n in range(50))
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(all_at_once())
    assert all(isinstance(answer, AuditError) for answer in answers)
    assert len({id(answer) for answer in answers}) == 50
    os.dup2(sound, log._fd)  # the disk is sound again: never retried
    with pytest.raises(AuditError):
        log.record_sync(start("later"), b"x")
    with pytest.raises(AuditError):
        book.close(log)
    assert book.verify().records == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the next test stands in")
def test_a_read_only_directory(book: Book) -> None:
    book.directory.chmod(0o500)
    with pytest.raises(AuditError, match="Permission denied"):
        book.open()


def test_a_directory_that_can_not_be_one(tmp_path: Path, book: Book) -> None:
    book.directory = tmp_path / "keys" / "audit.key"
    with pytest.raises(AuditError, match="can't be written") as refused:
        book.open()
    assert refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_read_only_file_system(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("NOT RUN: no tmpfs can be mounted here")
    try:
        book = Book(place)
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with pytest.raises(AuditError, match="Read-only file system"):
            book.open()
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_previous_shard_that_was_emptied_stops_the_next_start(book: Book) -> None:
    log = book.open()
    book.close(log)
    log.path.write_bytes(log.path.read_bytes().split(b"\n")[0] + b"\n")
    with pytest.raises(AuditError, match="no checkpoint") as refused:
        book.open()
    assert "verify" in refused.value.hint


def test_killed_at_any_moment_nothing_acknowledged_is_lost(book: Book) -> None:
    """kill -9 proves no fdatasync (the page cache survives it), but that a cut write is never read as records."""
    acknowledged: dict[str, int] = {}
    for turn in range(12):
        writer = _child(book, "write", str(turn))
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first.startswith(b"opened"), first
        threading.Event().wait(0.004 * (turn * 7 % 12))
        writer.send_signal(signal.SIGKILL)
        out, _ = writer.communicate(timeout=30)
        for line in out.split(b"\n")[:-1]:
            shard, index, _ = line.decode().split(" ")
            acknowledged[shard] = max(acknowledged.get(shard, 0), int(index))
    book.now = NOW + 100
    verdict = book.verify()
    assert len(verdict.shards) == 12
    sizes = {shard.shard: shard.records for shard in verdict.shards}
    assert all(sizes[shard] > index for shard, index in acknowledged.items())
    assert acknowledged
    assert all(shard.state == "unfinished" for shard in verdict.shards)
    log = book.open()
    book.close(log)
    assert book.verify().shards[-1].state == "closed"


def _child(book: Book, *what: str) -> "subprocess.Popen[bytes]":
    place = str(book.directory.parent)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.audit.test_log", place, *what],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _be_a_child(place: str, what: str, turn: str = "0") -> None:
    """Race: open one fixed shard. Write: print each receipt as it comes, until killed."""
    book = Book(Path(place))
    book.now += float(turn)
    try:
        log = book.open()
    except AuditError as error:
        print(f"refused {error}", flush=True)
        return
    print(f"opened {log.shard}", flush=True)
    if what == "race":
        threading.Event().wait(1.0)
        return

    async def write(worker: int) -> None:
        for n in range(100_000):
            receipt = await log.record(start(f"{worker}-{n}"), b"x")
            os.write(1, f"{receipt.shard} {receipt.index} .\n".encode())

    async def write_all() -> None:
        await asyncio.gather(*(write(worker) for worker in range(16)))

    asyncio.run(write_all())


def test_a_shard_is_not_made_before_its_header_is_signed(book: Book) -> None:
    log = book.open()
    assert book.verify().records == 1
    assert [path.name for path in book.directory.glob(".*.new")] == []
    book.close(log)


def test_a_worker_never_holds_the_root_key(book: Book) -> None:
    shard = shard_name("inference-0", NOW)
    key = WriterKey.fresh(TRUST_DOMAIN, shard)
    certificate = certify(book.root, TRUST_DOMAIN, shard, key.verifier.public, NOW)
    sent = certificate.to_dict()  # what crosses the link
    taken = Certificate.from_dict(sent)
    assert taken == certificate
    assert taken.signed_by(book.root.verifier)
    other = RootKey.open(book.directory.parent / "keys" / "other.key", book.directory / "other.pub", TRUST_DOMAIN)
    assert not taken.signed_by(other.verifier)
    log = AuditLog.open(book.directory, key, taken, t=NOW, m=0.0)
    log.close(t=NOW, m=1.0)
    with pytest.raises(AuditError, match="there already"):
        AuditLog.open(book.directory, key, taken, t=NOW, m=0.0)


if __name__ == "__main__":
    _be_a_child(*sys.argv[1:])
