"""Tampering of every kind that files allow is detected, and the first altered record is named."""

import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import AlteredError, Verdict, tree
from remit.audit.export import checkpoint as heads
from remit.audit.export import export
from remit.audit.keys import certify
from remit.audit.note import b64, parse_notes
from remit.audit.shard import MARK_BYTES, Checkpoint, marks_of, parse_checkpoint
from remit.audit.verify import verify
from remit.errors import AuditError, TamperedError
from tests.audit.conftest import Book
from tests.audit.records import NOW, act, end, root_of, start


@dataclass(frozen=True)
class Line:
    """One line of a shard. `index` is the record's; for a checkpoint, that of the first record it adds."""

    offset: int
    text: bytes
    index: int
    is_checkpoint: bool


@dataclass(frozen=True)
class Sealed:
    """A finished log: two shards of one writer and one of another. `broken` copies it for a test to alter."""

    book: Book
    first: str

    def broken(self) -> "Copy":
        place = Path(tempfile.mkdtemp(dir=self.book.directory.parent))
        copy = Copy(self.book, place / "audit", self.first)
        shutil.copytree(self.book.directory, copy.directory)
        return copy


@dataclass(frozen=True)
class Copy:
    book: Book
    directory: Path
    shard: str

    @property
    def path(self) -> Path:
        return self.directory / f"{self.shard}.log"

    def lines(self) -> list[Line]:
        lines, offset, index, begun = [], 0, 0, 0
        for text in self.path.read_bytes().splitlines(keepends=True):
            is_checkpoint = text.startswith(b"~")
            lines.append(Line(offset, text, begun if is_checkpoint else index, is_checkpoint))
            offset += len(text)
            index += not is_checkpoint
            begun = index if is_checkpoint else begun
        return lines

    def write(self, lines: list[bytes]) -> None:
        self.path.write_bytes(b"".join(lines))

    def verify(self, checkpoint: bytes | None = None) -> Verdict:
        return verify(self.directory, self.book.root.verifier, checkpoint, NOW + 1000)

    def altered(self) -> AlteredError:
        with pytest.raises(AlteredError) as caught:
            self.verify()
        assert caught.value.exit_code == 3
        return caught.value


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    book = Book(tmp_path_factory.mktemp("sealed"))
    log = book.open()
    first = log.shard
    for n in range(4):
        log.record_sync(start(f"lone-{n}"), b"x")
    for n in range(30):  # these share a few checkpoints
        log.note(start(f"many-{n}"))
        log.note(end(f"many-{n}"))
    log.record_sync(act("task.started", "t-1"), b"x")
    book.close(log)
    for writer in ("inference-0", "control"):
        log = book.open(writer)
        log.record_sync(start("after", outcome="refused"), b"x")
        book.close(log)
    return Sealed(book, first)


def test_an_untouched_log_verifies(sealed: Sealed) -> None:
    verdict = sealed.broken().verify()
    assert verdict.records == 67 + 3 + 3
    assert [shard.state for shard in verdict.shards] == ["closed"] * 3
    assert verdict.end_unknown == 4
    assert verdict.newest_age == pytest.approx(1000 - 6)
    assert not verdict.to_dict()["truncation_checked"]


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_flipped_byte_is_found_and_named(sealed: Sealed, data: st.DataObject) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    raw = bytearray(copy.path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    copy.path.write_bytes(bytes(raw))
    hit = next(line for line in reversed(lines) if line.offset <= at)
    if raw[at] == 0 or at == len(raw) - 1:
        _check_cut_short(copy, hit)
        return
    error = copy.altered()
    assert error.shard == copy.shard
    if hit.is_checkpoint and _in_marks(hit, at):
        assert hit.index <= error.index <= lines[-1].index + 1
    else:
        assert error.index == hit.index, str(error)
    if not hit.is_checkpoint and hit.index:
        assert error.offset == hit.offset, str(error)


def _in_marks(line: Line, at: int) -> bool:
    return at >= line.offset + line.text.rindex(b" ")


def _check_cut_short(copy: Copy, hit: Line) -> None:
    """A NUL ends the lines: in the last batch that could be a write cut short, which is reported as one."""
    with pytest.raises(AlteredError) as caught:
        copy.verify()
    assert caught.value.shard == copy.shard
    assert caught.value.index <= hit.index


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_lines_removed_repeated_moved_or_inserted(sealed: Sealed, data: st.DataObject) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    texts = [line.text for line in lines]
    at = data.draw(st.integers(1, len(lines) - 2))
    kind = data.draw(st.sampled_from(["remove", "repeat", "swap", "insert"]))
    if kind == "remove":
        texts.pop(at)
    elif kind == "repeat":
        texts.insert(at, texts[at])
    elif kind == "swap":
        texts[at], texts[at + 1] = texts[at + 1], texts[at]
    else:
        texts.insert(at, b'{"kind":"act","what":"forged"}\n')
    copy.write(texts)
    error = copy.altered()
    assert error.shard == copy.shard
    # A checkpoint out of place is seen at the next line that should follow it.
    near = {line.index for line in lines[max(0, at - 1) : at + 3]} | {lines[at].index + 1}
    assert error.index in near, (kind, at, str(error))
    if kind != "repeat" and not lines[at].is_checkpoint and not lines[at + 1].is_checkpoint:
        assert error.index == lines[at].index, (kind, str(error))


def test_a_record_rewritten_with_its_mark_is_still_named_by_its_batch(sealed: Sealed) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    at = next(n for n, line in enumerate(lines) if b'"lone-2"' in line.text)
    forged = lines[at].text.replace(b'"uid":1000', b'"uid":1001')
    below = parse_checkpoint(lines[at + 1].text[:-1])
    assert below is not None
    marks = marks_of([tree.leaf_hash(forged[:-1])])
    assert len(marks) == MARK_BYTES
    resealed = Checkpoint(below.size, below.root, below.signature, marks).line()
    texts = [line.text for line in lines]
    texts[at : at + 2] = [forged, resealed]
    copy.write(texts)
    error = copy.altered()
    assert (error.index, error.id) == (lines[at].index, "lone-2")
    assert "not what was signed" in str(error)


def test_a_root_that_fits_needs_the_writers_signature(sealed: Sealed) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    at = next(n for n, line in enumerate(lines) if b'"lone-2"' in line.text)
    forged = lines[at].text.replace(b'"uid":1000', b'"uid":1001')
    whole = [tree.leaf_hash(line.text[:-1]) for line in lines[:at] if not line.is_checkpoint]
    whole.append(tree.leaf_hash(forged[:-1]))
    below = parse_checkpoint(lines[at + 1].text[:-1])
    assert below is not None
    resealed = Checkpoint(below.size, root_of(whole), below.signature, marks_of(whole[-1:])).line()
    texts = [line.text for line in lines]
    texts[at : at + 2] = [forged, resealed]
    copy.write(texts)
    assert "did not sign" in str(copy.altered())


def test_a_whole_batch_cut_out(sealed: Sealed) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    at = next(n for n, line in enumerate(lines) if b'"lone-1"' in line.text)
    copy.write([line.text for line in lines[:at] + lines[at + 2 :]])
    error = copy.altered()
    assert (error.index, error.offset) == (lines[at].index, lines[at].offset)
    assert "missing" in str(error)


def test_swapped_shards(sealed: Sealed) -> None:
    copy = sealed.broken()
    other = next(path for path in copy.directory.glob("control.*.log"))
    one, two = copy.path.read_bytes(), other.read_bytes()
    copy.path.write_bytes(two)
    other.write_bytes(one)
    error = copy.altered()
    assert error.index == 0
    assert "belongs to shard" in str(error)


def test_a_header_that_another_root_certified(sealed: Sealed, tmp_path: Path) -> None:
    stranger = Book(tmp_path)
    stranger.now = NOW + 4  # the same shard name
    log = stranger.open("control")
    stranger.close(log)
    copy = sealed.broken()
    shutil.copy(log.path, next(copy.directory.glob("control.*.log")))
    with pytest.raises(AlteredError, match="no certificate"):
        copy.verify()


def test_a_certificate_is_for_one_shard_and_one_time(sealed: Sealed) -> None:
    root, public = sealed.book.root, bytes(range(32))
    good = certify(root, "maple", "a.20261121T031500.123Z", public, NOW)
    for other in (
        certify(root, "oak", good.shard, public, NOW),
        certify(root, "maple", "b.20261121T031500.123Z", public, NOW),
        certify(root, "maple", good.shard, public[::-1], NOW),
        certify(root, "maple", good.shard, public, NOW + 1),
    ):
        assert other.signature != good.signature


def test_a_missing_shard_is_missed_by_the_one_after_it(sealed: Sealed) -> None:
    copy = sealed.broken()
    copy.path.unlink()
    with pytest.raises(TamperedError, match=f"shard {copy.shard} is missing"):
        copy.verify()


def test_an_earlier_shard_cut_short_is_missed_by_the_one_after_it(sealed: Sealed) -> None:
    copy = sealed.broken()
    lines = copy.lines()
    copy.write([line.text for line in lines[:-2]])
    error = copy.altered()
    assert error.index == lines[-2].index
    assert "follows 67 records" in str(error)


def test_two_shards_can_not_follow_the_same_one(book: Book) -> None:
    log = book.open()
    book.close(log)
    aside = log.path.rename(log.path.with_suffix(".aside"))
    log = book.open()  # nothing to follow: a second beginning
    book.close(log)
    aside.rename(aside.with_suffix(".log"))
    with pytest.raises(TamperedError, match="both follow"):
        book.verify()


def test_nothing_follows_a_closed_shard(sealed: Sealed) -> None:
    copy = sealed.broken()
    with copy.path.open("ab") as file:
        file.write(b'{"kind":"act","what":"forged"}\n')
    assert "after the shard was closed" in str(copy.altered())


# ---- truncation and rollback: only what was saved elsewhere can tell


@pytest.mark.parametrize("cut", [2, 4, 6])
def test_a_saved_checkpoint_detects_truncation(sealed: Sealed, cut: int) -> None:
    copy = sealed.broken()
    saved = heads(copy.directory).encode()
    assert copy.verify(saved).anchored == 3
    last = Copy(copy.book, copy.directory, max(copy.directory.glob("inference-0.*.log")).stem)
    lines = last.lines()
    assert len(lines) == 6
    last.write([line.text for line in lines[:-cut]] or [b""])
    if cut < 6:
        assert last.verify().anchored == 0  # without it, a shorter log looks the same
    with pytest.raises(TamperedError):
        last.verify(saved)


def test_a_saved_checkpoint_detects_a_rollback_and_a_new_beginning(book: Book, tmp_path: Path) -> None:
    log = book.open()
    log.record_sync(start("before"), b"x")
    before = tmp_path / "before"
    shutil.copytree(book.directory, before)
    log.record_sync(start("after"), b"x")
    saved = heads(book.directory).encode()
    book.close(log)
    assert book.verify(saved).anchored == 1
    old = Copy(book, before, log.shard)
    assert old.verify().shards[0].state == "unfinished"
    with pytest.raises(AlteredError, match="the saved checkpoint has 3 records") as caught:
        old.verify(saved)
    assert caught.value.index == 2
    old.path.unlink()
    with pytest.raises(TamperedError, match="is missing"):
        old.verify(saved)


def test_who_has_the_root_key_can_not_deceive_a_saved_checkpoint(book: Book) -> None:
    log = book.open()
    log.record_sync(start("inconvenient"), b"x")
    saved = heads(book.directory).encode()
    book.close(log)
    log.path.unlink()
    book.now = NOW
    forged = book.open()  # the very same name, with the right root key
    forged.record_sync(start("harmless"), b"x")
    book.close(forged)
    assert forged.path == log.path
    assert book.verify().records == 3
    with pytest.raises(TamperedError, match="another key than the one that signed"):
        book.verify(saved)


def test_a_checkpoint_file_must_be_one(sealed: Sealed) -> None:
    for text in (b"", b"hello", b"\xff", heads(sealed.book.directory).encode()[:-30] + b"!\n"):
        with pytest.raises(AuditError, match="checkpoint"):
            sealed.book.verify(text)


def test_heads_are_standard_signed_notes(sealed: Sealed) -> None:
    signed = parse_notes(heads(sealed.book.directory).encode())
    verdict = sealed.broken().verify()
    assert [(head.head.size, head.head.root) for head in signed] == [(s.records, s.root) for s in verdict.shards]
    note = heads(sealed.book.directory)
    key = verdict.shards[0].key
    assert note.startswith(f"{key.name}\n{verdict.shards[0].records}\n{b64(verdict.shards[0].root)}\n\n— {key.name} ")


def test_an_export_keeps_the_stored_bytes(sealed: Sealed) -> None:
    lines = list(export(sealed.book.directory))
    assert len(lines) == 73 + 3
    stored = sealed.broken().lines()[1].text[:-1].decode()
    assert stored.startswith("~")
    assert any(line.endswith(f'"record":{sealed.broken().lines()[2].text[:-1].decode()}}}') for line in lines)


# ---- writes that did not finish


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_write_cut_short_is_reported_and_never_read_as_records(sealed: Sealed, data: st.DataObject) -> None:
    copy = sealed.broken()
    last = Copy(copy.book, copy.directory, max(copy.directory.glob("inference-0.*.log")).stem)
    raw = last.path.read_bytes()
    lines = last.lines()
    cut = data.draw(st.integers(lines[1].offset + len(lines[1].text), len(raw) - 1))
    last.path.write_bytes(raw[:cut] + bytes(data.draw(st.sampled_from([0, 700, 9000]))))
    verdict = next(shard for shard in last.verify().shards if shard.shard == last.shard)
    ends = [line.offset + len(line.text) for line in lines if line.is_checkpoint]
    good = max(offset for offset in ends if offset <= cut)
    assert verdict.state == "unfinished"
    assert verdict.tail == cut - good
    assert verdict.records == sum(not line.is_checkpoint for line in lines if line.offset < good)


def test_a_lost_sector_is_a_torn_write_but_a_lone_nul_is_not(sealed: Sealed) -> None:
    copy = sealed.broken()
    last = Copy(copy.book, copy.directory, max(copy.directory.glob("inference-0.*.log")).stem)
    raw = bytearray(last.path.read_bytes())
    good = next(line.offset for line in last.lines() if b'"kind":"closed"' in line.text)
    hole = (good // 512 + 1) * 512
    raw[good:] = b"x" * (hole - good) + bytes(512) + b"the rest of a batch"
    last.path.write_bytes(bytes(raw))
    verdict = next(shard for shard in last.verify().shards if shard.shard == last.shard)
    assert verdict.tail == len(raw) - good
    raw[good + 3 :] = b"\0" + raw[good + 4 : hole] + bytes(512)
    last.path.write_bytes(bytes(raw))
    with pytest.raises(AlteredError, match="NUL"):
        last.verify()


# ---- while it is being written


def test_a_log_verifies_while_it_is_written(book: Book) -> None:
    log = book.open()
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.wait(0.001) and n < 1_000:  # bounded: each checkpoint costs verify a signature
            log.record_sync(start(f"id-{n}"), b"x")
            log.note(end(f"id-{n}"))
            n += 1

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        sizes = [book.verify().records for _ in range(15)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    assert book.verify().shards[0].state == "open"
    book.close(log)
    assert book.verify().shards[0].pending == 0


def test_a_nul_put_into_a_live_log_does_not_hide_what_follows(book: Book) -> None:
    log = book.open()
    for n in range(5):
        log.record_sync(start(f"id-{n}"), b"x")
    raw = log.path.read_bytes()
    with log.path.open("r+b") as file:
        file.seek(raw.index(b'"id":"id-2"'))
        file.write(b"\0")
    with pytest.raises(AlteredError) as caught:
        book.verify()
    assert caught.value.index == 3
    book.close(log)
    with pytest.raises(AlteredError):
        book.verify()


def test_an_altered_record_of_a_live_log_is_named(book: Book) -> None:
    log = book.open()
    for n in range(5):
        log.record_sync(start(f"id-{n}"), b"x")
    raw = log.path.read_bytes()
    with log.path.open("r+b") as file:
        file.seek(raw.index(b'"curl"'))
        file.write(b'"wget"')
    with pytest.raises(AlteredError) as caught:
        book.verify()
    assert (caught.value.index, caught.value.id) == (1, "id-0")
    book.close(log)


def test_an_empty_directory_is_no_good_log(tmp_path: Path, book: Book) -> None:
    with pytest.raises(AuditError, match="no audit log"):
        verify(tmp_path, book.root.verifier, None, NOW)
    with pytest.raises(AuditError, match="can't be read"):
        verify(tmp_path / "nowhere", book.root.verifier, None, NOW)
