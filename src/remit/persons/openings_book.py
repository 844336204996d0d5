"""The openings of break-glass on disk: one file an event, never rewritten, and a chain so that a removed one shows.

`break-glass/NNNNNN-WHAT.json` (0600, fsynced) and `break-glass/chain`, a line `NAME SHA-256` for each, where every
file names the digest of the one before it. Works without control, database and log.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from remit.errors import StateError
from remit.identity import disk_hints
from remit.identity.plain_file import read_plain
from remit.persons.break_glass import BreakGlassError, Opening, Review, fold
from remit.persons.recovery_code import Sealed, WrongCodeError, read_sealed
from remit.secret import Secret

CHAIN: Final = "chain"
RECORDED: Final = "recorded"
WRONG_CODES: Final = "wrong-codes.json"
ROOM: Final = "room"
ROOM_BYTES: Final = 64 << 10  # an event is below 1 KiB, and a file takes a block of 4 KiB or more
MAX_FILE_BYTES: Final = 64 << 10
MAX_LIST_BYTES: Final = 16 << 20  # 180,000 events
_NAME: Final = re.compile(r"(\d{6})-(opened|closed|reviewed)\.json\Z")
_FIRST: Final = "0" * 64


class OpeningsBook:
    """What is in one directory. One process writes at a time: control, or the emergency instance in its place."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._recorded: set[str] = set()
        self._wrong_unkept: int | None = None  # where the disk takes nothing

    def openings(self) -> dict[str, Opening]:
        """All openings, oldest first; what can't be read is left out, and `flaws` names it."""
        return fold(row for _, row in self._rows())

    def flaws(self) -> list[str]:
        """What shows that something was removed or altered; empty when all is as it was written."""
        kept, flaws, before = self._chain(), [], _FIRST
        there = {path.name: path for path in self._files()}
        for name, digest in kept:
            path = there.pop(name, None)
            if path is None:
                flaws.append(f"`{name}` is missing from `{self.directory}`")
            elif _digest(path) != digest:
                flaws.append(f"`{name}` is not what was written")
            elif self._parsed(path).get("before") != before:
                flaws.append(f"`{name}` does not follow what stood before it")
            before = digest
        return flaws + [f"`{name}` is not in the chain" for name in sorted(there)[1:]]  # a crash leaves out one

    def opened(self, opening: Opening) -> None:
        """Keep an opening, durably: before it is in force. Raises StateError."""
        self._write("opened", opening.id, {"opening": asdict(opening)})

    def closed(self, opening: Opening, at: float, why: str) -> None:
        """As `opened`."""
        self._write("closed", opening.id, {"at": at, "why": why})

    def reviewed(self, opening: Opening, review: Review) -> None:
        """As `opened`."""
        self._write("reviewed", opening.id, {"review": asdict(review)})

    def unrecorded(self) -> list[tuple[str, dict[str, Any]]]:
        """The events that the audit log has not taken yet, as far as is known: by name."""
        try:
            names = set(read_plain(self.directory / RECORDED, MAX_LIST_BYTES).decode().split())
        except (OSError, UnicodeDecodeError):
            names = set()
        names |= self._recorded
        return [(name, row) for name, row in self._rows() if name not in names]

    def recorded(self, name: str) -> None:
        """The audit log has it. What is not kept here is recorded again at the next start."""
        self._recorded.add(name)
        with contextlib.suppress(OSError):
            _append(self.directory / RECORDED, f"{name}\n".encode(), os.O_APPEND)

    def sealed(self) -> Sealed | None:
        return read_sealed(self.directory)

    def check_code(self, code: Secret, now: float) -> Sealed:
        """What the code opens; blocks for as long as scrypt takes. `now` is Unix seconds.

        Raises WrongCodeError, whose answer is to be held back for `wait_after` them all; BreakGlassError, StateError.
        Wrong codes before it never keep the right one waiting: whoever types wrong ones must lock nobody out.
        """
        kept = self.sealed()
        if kept is None:
            raise BreakGlassError("no recovery code was sealed here", hint="`remit up` seals one, and shows it once")
        if not kept.opened_by(code):
            wrong = self.wrong_codes() + 1
            self._keep_wrong(wrong, now)
            raise WrongCodeError("this is not the recovery code", hint=f"{wrong} wrong in a row; all are on record")
        self._keep_wrong(0, now)
        return kept

    def wrong_codes(self) -> int:
        """How many codes were wrong since the last right one."""
        try:
            kept = int(self._parsed(self.directory / WRONG_CODES)["wrong"])
        except (ValueError, KeyError, TypeError):
            kept = 0
        return kept if self._wrong_unkept is None else self._wrong_unkept

    def _keep_wrong(self, wrong: int, at: float) -> None:
        self._wrong_unkept = wrong
        try:
            draft = self.directory / f".{WRONG_CODES}.new"
            draft.write_text(json.dumps({"wrong": wrong, "last": at}))
            draft.chmod(0o600)
            draft.replace(self.directory / WRONG_CODES)
        except OSError:
            return  # a full disk must not keep the right code out
        self._wrong_unkept = None

    def keep_room(self) -> None:
        """Room for an opening and its end on a disk that will be full by then: taken while there is some."""
        try:
            if not (self.directory / ROOM).exists():
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                _append(self.directory / ROOM, os.urandom(ROOM_BYTES), os.O_EXCL)
        except OSError:
            return  # it is full already

    def _write(self, what: str, opening_id: str, facts: Mapping[str, Any]) -> None:
        try:
            try:
                self._add(what, opening_id, facts)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                (self.directory / ROOM).unlink(missing_ok=True)
                self._add(what, opening_id, facts)
        except OSError as error:
            raise StateError(
                f"`{self.directory}` can't be written: {error.strerror}", hint=disk_hints.hint(self.directory, error)
            ) from error

    def _add(self, what: str, opening_id: str, facts: Mapping[str, Any]) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mend_chain()
        kept = self._chain()
        last = max((path.name[:6] for path in self._files()), default="000000")
        number = max([int(last), *(int(name[:6]) for name, _ in kept)]) + 1
        name = f"{number:06d}-{what}.json"
        before = kept[-1][1] if kept else _FIRST
        raw = json.dumps({"what": what, "id": opening_id, "before": before, **facts}).encode()
        _append(self.directory / name, raw, os.O_EXCL)
        _append(self.directory / CHAIN, f"{name} {hashlib.sha256(raw).hexdigest()}\n".encode(), os.O_APPEND)
        _sync(self.directory)

    def _mend_chain(self) -> None:
        """A crash may come between a file and its line: the newest file alone is taken up again."""
        kept = self._chain()
        names = {name for name, _ in kept}
        for path in self._files()[-1:]:
            follows = self._parsed(path).get("before") == (kept[-1][1] if kept else _FIRST)
            if path.name not in names and follows:
                _append(self.directory / CHAIN, f"{path.name} {_digest(path)}\n".encode(), os.O_APPEND)

    def _rows(self) -> list[tuple[str, dict[str, Any]]]:
        rows = [(path.name, self._parsed(path)) for path in self._files()]
        return [(name, row) for name, row in rows if row]

    def _files(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if _NAME.match(path.name))

    def _parsed(self, path: Path) -> dict[str, Any]:
        try:
            row = json.loads(read_plain(path, MAX_FILE_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return row if isinstance(row, dict) else {}

    def _chain(self) -> list[tuple[str, str]]:
        try:
            lines = read_plain(self.directory / CHAIN, MAX_LIST_BYTES).decode().splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        pairs = (line.split(" ") for line in lines)
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and _NAME.match(pair[0])]


def _append(path: Path, raw: bytes, flag: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flag, 0o600)
    before = os.fstat(descriptor).st_size
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(raw)
            file.flush()
            os.fsync(descriptor)
    except OSError:  # half of it is worse than none: what is tried again follows what stood before
        os.ftruncate(descriptor, before)
        if flag & os.O_EXCL:
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(read_plain(path, MAX_FILE_BYTES)).hexdigest()
    except OSError:
        return ""
